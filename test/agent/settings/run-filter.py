"""Runs lines through the installed fail2ban's own matching, with regexes it is given.

Reads one JSON object from standard input, writes one JSON array: per line the address, user and regex, or null.
"""
import json, sys
sys.path.insert(0, "/usr/lib/python3/dist-packages")
from fail2ban.server.filter import Filter

def make(settings):
    filter = Filter(None)
    filter.returnRawHost = True
    filter.checkFindTime = False
    filter.active = True
    filter.setUseDns(settings["useDns"])
    if settings["prefRegex"]: filter.prefRegex = settings["prefRegex"]
    for regex in settings["failRegex"]: filter.addFailRegex(regex)
    if settings["datePattern"]: filter.setDatePattern(settings["datePattern"])
    return filter

asked = json.load(sys.stdin)
filters = {name: make(settings) for name, settings in asked["filters"].items()}
results = []
for sample in asked["samples"]:
    filter = filters[sample["filter"]]
    if asked["filters"][sample["filter"]]["dateless"]:
        found = filter.processLine(("", "2026-11-22 06:25:00", sample["line"]), 1795328700)
    else:
        found = filter.processLine(sample["line"])
    if found:
        regex, address, _, failure = found[0][:4]
        results.append({"ip": str(address), "user": failure.get("user"), "regex": regex})
    else:
        results.append(None)
print(json.dumps(results))
