# Raises its limits.
# expect: no_result
# alone: user_ns capabilities
import resource

raised = []
for kind in (resource.RLIMIT_AS, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU):
    try:
        soft, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            resource.setrlimit(kind, (hard + 1, hard + 1))
            raised.append(kind)
    except (OSError, ValueError):
        pass
if raised:
    import cadquery as cq

    solid = cq.Workplane().box(1, 1, 1)
