"""Says the same in other words around it: what must not change what a prompt is taken for."""

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
