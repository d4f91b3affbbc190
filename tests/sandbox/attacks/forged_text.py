# Prints what a verdict might look like.
# expect: no_result
print('{"status": "ok", "volume": 1.0}')
