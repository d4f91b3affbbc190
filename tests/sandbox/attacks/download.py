# Downloads something.
# expect: denied exception
import urllib.request

urllib.request.urlopen("http://1.1.1.1/", timeout=2)
import cadquery as cq

solid = cq.Workplane().box(1, 1, 1)  # reached only if the attack worked
