#!/usr/bin/env python3
"""Every test case of the program lies in a file that has a ctest entry; else it would be compiled and never run.

  entries_test.py PROGRAM FILE…
"""
import subprocess
import sys
import xml.etree.ElementTree as xml

program, files = sys.argv[1], sys.argv[2:]
listing = subprocess.run([program, "--list-test-cases", "--reporters=xml"], stdout=subprocess.PIPE, text=True, check=True).stdout
cases = list(xml.fromstring(listing).iter("TestCase"))
relative = tuple("tests/" + file.rsplit("/tests/", 1)[1] for file in files)
lost = [case for case in cases if not case.get("filename", "").endswith(relative)]
for case in lost:
    print(f"{case.get('filename')}:{case.get('line')}: '{case.get('name')}' is in no ctest entry")
print(f"{len(cases)} cases in {len(files)} files, {len(lost)} without an entry")
sys.exit(1 if lost or not cases else 0)
