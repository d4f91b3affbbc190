# Lists the home and other folders by every name.
# expect: no_result
import os

seen = []
for path in ("@HOME@", "/root", "/home", "@OUTSIDE@", "/etc", "/proc", "/sys", "/var", "/proc/self", "/proc/1"):
    try:
        # Folders above the libraries may exist, empty but for the way down to them.
        seen += [name for name in os.listdir(path) if name in ("secret.txt", "passwd", "environ", ".bashrc", "log")]
    except OSError:
        pass
if seen:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
