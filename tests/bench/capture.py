"""What `plandex hook capture start` is measured against: the same work by a script of the kind that
it took the place of. SEED.md B.7 writes the line; the rest reads what the line says."""

import fcntl
import json
import os
import sys
import uuid
from datetime import datetime, timezone


def first_line(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.readline().strip()
    except OSError:
        return None


def git_metadata(directory):
    at = os.path.abspath(directory)
    while not os.path.exists(os.path.join(at, ".git", "HEAD")):
        if at == os.path.dirname(at):
            return {"base_commit": None, "branch": None, "timestamp": now()}
        at = os.path.dirname(at)
    git = os.path.join(at, ".git")
    head = first_line(os.path.join(git, "HEAD")) or ""
    if not head.startswith("ref: "):
        return {"base_commit": head, "branch": None, "timestamp": now()}
    name = head[len("ref: ") :]
    commit = first_line(os.path.join(git, name))
    return {"base_commit": commit, "branch": name[len("refs/heads/") :], "timestamp": now()}


def now():
    return datetime.now(timezone.utc).isoformat()


def write_log_entry_atomic(log_file, log_entry):
    os.makedirs(os.path.dirname(log_file), exist_ok=True)
    with open(log_file, "a", encoding="utf-8") as f:
        fcntl.flock(f.fileno(), fcntl.LOCK_EX)
        try:
            f.write(json.dumps(log_entry) + "\n")
            f.flush()
            os.fsync(f.fileno())
        finally:
            fcntl.flock(f.fileno(), fcntl.LOCK_UN)


def main():
    told = json.load(sys.stdin)
    session = told.get("session_id") or f"fallback_{uuid.uuid4().hex[:8]}"
    project = os.environ.get("CLAUDE_PROJECT_DIR") or os.getcwd()
    entry = {
        "type": "session_start",
        "timestamp": now(),
        "session_id": session,
        "transcript_path": told.get("transcript_path"),
        "cwd": told.get("cwd"),
        "git_metadata": git_metadata(project),
        "source": told.get("source"),
        "reason": told.get("reason"),
    }
    write_log_entry_atomic(os.path.join(project, "logs", f"session_{session}.jsonl"), entry)


main()
