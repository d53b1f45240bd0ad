//! What plandex(1) says beside the commands: the environment and the files.

/// The variables that plandex reads; a test holds them to those that `config` reads.
pub(super) const ENVIRONMENT: [(&str, &str); 29] = [
    ("PLANDEX_PLAN", "The plan to work on; weaker than --plan."),
    (
        "PLANDEX_BRANCH",
        "The branch to work on; weaker than --branch.",
    ),
    (
        "PLANDEX_WAIT",
        "How long to wait for a turn; weaker than --wait.",
    ),
    (
        "PLANDEX_ACTOR",
        "Who works, in queues and in the audit; who gave up waiting keeps the place for it.",
    ),
    (
        "PLANDEX_DIR",
        "Where the project's state is kept, instead of .plandex in its root.",
    ),
    (
        "PLANDEX_LOCK_TOKEN",
        "Set by `plandex exec` for its command: the hold that plandex commands in it work under.",
    ),
    (
        "PLANDEX_PROVIDER",
        "The provider of the model; weaker than --provider.",
    ),
    ("PLANDEX_MODEL", "The model; weaker than --model."),
    (
        "PLANDEX_BASE_URL",
        "The address of the model's server; weaker than --base-url.",
    ),
    (
        "PLANDEX_API_KEY",
        "The key for it; stronger than the providers' own variables.",
    ),
    (
        "PLANDEX_COMMAND",
        "A program that is asked instead; weaker than --command.",
    ),
    (
        "PLANDEX_FALLBACK",
        "The model to ask if the first fails; weaker than --fallback.",
    ),
    (
        "PLANDEX_DEPTH",
        "Set for a program that is asked: how many plandex asked one another. There is a limit.",
    ),
    (
        "OPENAI_BASE_URL, OPENAI_API_BASE, OPENAI_API_KEY, OPENAI_MODEL",
        "An OpenAI-compatible server, its key and its model.",
    ),
    ("OPENAI_ORG_ID, OPENAI_PROJECT_ID", "Sent to it."),
    ("OPENROUTER_API_KEY", "The key for OpenRouter."),
    (
        "ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, ANTHROPIC_MODEL",
        "Anthropic's server, the key for it, the model.",
    ),
    ("OLLAMA_HOST", "Where ollama listens."),
    (
        "PLANDEX_LOG",
        "What to log: locks, queue, heartbeat, transactions, all.",
    ),
    (
        "PLANDEX_LOG_FILE",
        "Append the log to this file instead of standard error.",
    ),
    (
        "PLANDEX_EDITOR, VISUAL, EDITOR",
        "What a prompt is written in; the first that is set.",
    ),
    (
        "PLANDEX_PAGER, PAGER",
        "What shows long results on a terminal; else less -FRX.",
    ),
    (
        "NO_COLOR, CLICOLOR_FORCE",
        "No colour; colour also where there is no terminal.",
    ),
    (
        "TERM, CI",
        "What a terminal can do; that there is nobody to ask.",
    ),
    (
        "LC_ALL, LC_CTYPE, LANG",
        "Whether signs beyond ASCII can be shown.",
    ),
    ("TZ", "The zone of the times that are shown."),
    (
        "CLAUDE_PROJECT_DIR",
        "Where the host of an agent says its project is: `plandex hook capture` notes sessions there.",
    ),
    ("HOME", "Where ~/.config is."),
    (
        "XDG_CONFIG_HOME",
        "Where the user's settings are, instead of ~/.config.",
    ),
];

/// The files that people meet.
pub(super) const FILES: [(&str, &str); 6] = [
    (
        ".plandex/",
        "The state of a project, in its root: all plans and their versions. The database in it may \
         be opened by SQLite alone, and on a local file system: `plandex backup` copies it.",
    ),
    (".plandex/plans/", "A repository of versions for each plan."),
    (".plandex/config.toml", "The project's settings."),
    (
        "~/.config/plandex/config.toml",
        "The user's settings; the project's are stronger.",
    ),
    (
        ".gitignore, .ignore, .plandexignore",
        "What `plandex load` leaves out of directories.",
    ),
    (
        "logs/session_ID.jsonl",
        "What `plandex hook capture` notes of the sessions of agents.",
    ),
];
