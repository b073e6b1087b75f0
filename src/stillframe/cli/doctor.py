"""`stillframe doctor`: what is wrong with a service, and how to mend it."""

from __future__ import annotations

import json
from dataclasses import asdict

from stillframe.cli.messages import say
from stillframe.cli.settings import ConfigFile, DataDir, Json, load

EXAMPLES = """Examples:

stillframe doctor

stillframe doctor --data-dir /var/lib/stillframe --json
"""


def doctor(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> int:
    """Look at the database, buckets, sandbox, disk, clock and address: what is wrong, and how to mend it.

    Exit code 1 when something is wrong. A note is no failure.
    """
    from stillframe.server.doctor import examine

    wrong = False
    findings = []
    for finding in examine(load(config, data_dir=data_dir)):
        wrong = wrong or finding.state == "wrong"
        findings.append(asdict(finding))
        if not as_json:
            say(f"{finding.state:6}{finding.subject}: {finding.text}".replace("\n", "\\n"))
            if finding.remedy:
                say(f"      -> {finding.remedy}")
    if as_json:
        say(json.dumps(findings))
    return int(wrong)
