"""Says the same in other words around it: what must not change what a prompt is taken for."""

import json
from collections.abc import Callable, Mapping

Perturbation = Callable[[str], str]

PERTURBATIONS: Mapping[str, Perturbation] = {
    "greeting": lambda text: f"Hi there! Hope your week is going well. {text}",
    "thanks": lambda text: f"{text}\n\nThanks so much in advance, I really appreciate it!",
    "request": lambda text: f"Could you please help me with the following? {text}",
    "French courtesies": lambda text: f"Bonjour, pourriez-vous m'aider ? {text} Merci beaucoup !",
    "Spanish courtesies": lambda text: f"Hola, ¿me podrías ayudar? {text} ¡Muchas gracias!",
    "answer in French": lambda text: f"{text}\n\nRéponds en français, s'il te plaît.",
    "story before": lambda text: f"My aunt swears you are good at this sort of thing. {text}",
    "story after": lambda text: f"{text}\n\nSorry for the late message, the kids only just went to bed.",
    "German story": lambda text: f"Gestern kam endlich die neue Waschmaschine an. {text}",
    "signature": lambda text: f"{text}\n\n--\nR. Okafor\nSecond floor",
    "capitals": str.upper,
    "small letters": str.lower,
    "code fence": lambda text: f"```\n{text}\n```",
    "quoted lines": lambda text: "\n".join(f"> {line}" for line in text.split("\n")),
    "quotation marks": lambda text: f'"{text}"',
    "frame": lambda text: f"### Instruction:\n{text}\n\n### Response:\n",
    "question and answer": lambda text: f"Q: {text}\nA:",
    "blank lines": lambda text: f"\n\n  {text}  \n\n",
    "system line": lambda text: f"You are a helpful assistant.\n\n{text}",
    "typing error": lambda text: text.replace("the ", "teh ", 2).replace("ie", "ei", 1),
}


def _json(text: str) -> str:
    return json.dumps({"job": 8812, "kind": "delegated", "payload": {"instruction": text, "lang": "auto"}}, indent=1)


def _yaml(text: str) -> str:
    inside = "\n".join(f"    {line}" for line in text.split("\n"))
    return f"from: orchestrator\nretry: 0\nuser_request: |\n{inside}\nreply_with: text\n"


FRAMES: Mapping[str, Perturbation] = {
    "context block": lambda text: (
        "<project_context>\nLanguage: Go 1.23\nLinter: golangci-lint\nEntry point: cmd/server/main.go\n"
        f"</project_context>\n\n{text}"
    ),
    "environment block": lambda text: (
        "<environment_details>\nOS: macOS 15\nShell: fish\nOpen tabs: router.go, Makefile\n</environment_details>\n"
        + text
    ),
    "bracketed context": lambda text: f"[CONTEXT]\nNightly batch, shard 3, region us-east.\n[/CONTEXT]\n\n{text}",
    "rules after": lambda text: (
        f"{text}\n\nGround rules:\n* no small talk\n* if unsure, say UNKNOWN\n* British spelling"
    ),
    "role line": lambda text: f"You are Orion, the research and operations agent of a mid-sized publisher. {text}",
    "role and rules": lambda text: (
        "You are a tireless back-office assistant. You keep to the point. Cite nothing you did not see.\n\n" + text
    ),
    "tracker header": lambda text: f"Key: PAY-771\nStatus: In Progress\nReporter: L. Haas\nSprint: 41\n\n{text}",
    "ticket number": lambda text: f"[PAY-771] {text}",
    "story": lambda text: (
        f"# Story 2.4: back-office chores\n\nStatus: Approved\n\n## Tasks\n- [ ] {text}\n\n"
        "## Dev Notes\nKeep it small. See architecture.md."
    ),
    "numbered steps": lambda text: f"1. Read the brief.\n2. {text}\n3. Report back in this thread.",
    "headings": lambda text: f"## Where things stand\nPhase 2 of the migration.\n\n## What I need\n{text}",
    "output format": lambda text: f"{text}\n\nOutput format: markdown, no preamble, at most one screen.",
    "prose context": lambda text: (
        "We moved the billing service to Kotlin last month and half of the team is on holiday this week.\n\n" + text
    ),
    "JSON envelope": _json,
    "YAML envelope": _yaml,
    "French blocks": lambda text: (
        f"<contexte>\nSite vitrine sous Symfony 7, hébergé à Roubaix.\n</contexte>\n<demande>\n{text}\n</demande>"
    ),
    "French role": lambda text: f"Tu es un collaborateur fiable du service informatique d'une mairie. {text}",
    "French headings": lambda text: (
        f"### Cadre de travail\nProjet pilote, équipe de quatre.\n\n### Ce qui est demandé\n{text}\n\n"
        "### Format\nTexte simple, sans préambule."
    ),
    "German headings": lambda text: f"## Rahmen\nPilotprojekt, Team von vier.\n\n## Aufgabe\n{text}",
    "Spanish rules": lambda text: f"Normas:\n- nada de relleno\n- tutea al lector\n\nEncargo: {text}",
    "Chinese blocks": lambda text: f"【背景】内部运营平台\n【任务】{text}",
}
"""What agents put around a prompt; the training knows none of these wordings."""
