# Leaves with success and without a solid.
# expect: no_result
import sys

sys.exit(0)
