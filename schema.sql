-- plandex: the whole schema, version 1.
--
-- One file, <project>/.plandex/plandex.db, in WAL mode, coordinates every plandex process that
-- works on a project. It is the index of the plans and the place where they take turns; the
-- content of every version lives in one bare git repository per plan, plans/<plan-id>.git.
--
-- Conventions. Times are integer milliseconds of wall time since 1970 (UTC) and serve people; only
-- lease_stamp is monotonic. Ids are UUIDv7 text, but for tickets and fences, which are counted.
-- An id of a context, a message, a build, a pending change or a summary names the thing, which a
-- fork shares with the branch that it was forked from: a row is found by its branch and its id, and
-- the tree of a version names things as its rows do. Every set of words is checked. Every transaction that may write starts IMMEDIATE, behind the
-- gate (the flock on write.lock). Durability is the transaction's: NORMAL for tickets, heartbeats,
-- audit and stream events, FULL for everything else.
--
-- The branch row is the truth for where a branch stands (branches.head); the git ref is a mirror.

-- A plan: one line of work on the project. Written by `new`, `rename`, `archive`, `delete-plan` and
-- their opposites; its row is in the tree of each of its branches, too (plan.json).
-- A deleted plan keeps its row (and its repository) until `doctor --prune`.
CREATE TABLE plans (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    -- Whether nobody named it: the first prompt does.
    is_draft    INTEGER NOT NULL DEFAULT 0 CHECK (is_draft IN (0, 1)),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    archived_at INTEGER,
    deleted_at  INTEGER,
    deleted_by  TEXT
) STRICT;

-- A name is unique among the live plans; a deleted plan gives its name back.
CREATE UNIQUE INDEX plans_live_name ON plans (name) WHERE deleted_at IS NULL;

-- A branch: a named line of versions in a plan. `head` is its newest version (a commit id in the
-- plan's repository); it moves by compare-and-swap inside a fenced transaction, after the objects
-- it names are durable. `status` is what the last run on it is doing or how it ended; a status
-- that claims work (replying, building, applying) while no ticket backs it is repaired to
-- 'interrupted' by the next writer.
CREATE TABLE branches (
    id         TEXT PRIMARY KEY,
    plan_id    TEXT NOT NULL REFERENCES plans (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    parent_id  TEXT,
    head       TEXT,
    status     TEXT NOT NULL DEFAULT 'draft' CHECK (status IN
        ('draft', 'ready', 'replying', 'building', 'applying', 'stopped', 'error', 'interrupted')),
    error      TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE UNIQUE INDEX branches_live_name ON branches (plan_id, name) WHERE deleted_at IS NULL;

-- What `set-model` chose for a branch, a line a setting; a branch forked from it has it, too. Never a
-- key, a command or an address elsewhere. In the tree: settings.json.
CREATE TABLE branch_settings (
    branch_id TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    name      TEXT NOT NULL CHECK (name IN ('provider', 'model', 'base-url', 'fallback',
        'context-window', 'max-tokens')),
    value     TEXT NOT NULL,
    PRIMARY KEY (branch_id, name)
) STRICT;

-- One thing the user has shown a branch. The body is a git blob of the plan's repository, named by
-- `blob` and immutable. Written by `load`, `update`, `rm`, `clear` and a run that refreshes what it
-- sends; size, mtime and hash are those of the file at the moment its body was read (of a file in
-- UTF-16, whose body is converted, they are still the file's). What it takes to make an entry
-- again stands beside it: `url` of a page, `link` of a file that was named by a link, `detail` of
-- an image, `forced` where the ignore rules were passed over, `listing` (a hash of the paths,
-- sizes and times) of a tree or a map.
CREATE TABLE contexts (
    id         TEXT NOT NULL,
    branch_id  TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN
        ('file', 'tree', 'map', 'note', 'piped', 'url', 'image')),
    name       TEXT NOT NULL,
    path       TEXT,
    url        TEXT,
    link       TEXT,
    detail     TEXT CHECK (detail IN ('high', 'low')),
    forced     INTEGER NOT NULL DEFAULT 0 CHECK (forced IN (0, 1)),
    listing    TEXT,
    blob       TEXT NOT NULL,
    hash       TEXT NOT NULL,
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL DEFAULT 0,
    tokens     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (branch_id, id)
) STRICT;

CREATE INDEX contexts_branch ON contexts (branch_id, created_at);
-- One of thousands is found by its name; their tokens are summed without a look at the rest of them.
CREATE INDEX contexts_name ON contexts (branch_id, name);
CREATE INDEX contexts_tokens ON contexts (branch_id, tokens);
-- Not every model takes images.
CREATE INDEX contexts_images ON contexts (branch_id) WHERE kind = 'image';
-- One entry a path (and way to show it) and branch: loading it again replaces it.
CREATE UNIQUE INDEX contexts_path ON contexts (branch_id, kind, path) WHERE path IS NOT NULL;
CREATE UNIQUE INDEX contexts_url ON contexts (branch_id, url) WHERE url IS NOT NULL;

-- How many tokens a model counts where we estimate one, learned from what it reports of the prompts
-- it was sent: a moving average in thousandths, within reason. Written at the end of
-- a reply; the models used longest ago go when there are more than a hundred.
CREATE TABLE token_ratios (
    model      TEXT PRIMARY KEY,
    permille   INTEGER NOT NULL CHECK (permille BETWEEN 600 AND 2000),
    samples    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- One message of a branch's conversation. Inserted by a run (the reply in state 'open'),
-- completed once, and never changed after: the trigger refuses it.
CREATE TABLE convo_messages (
    id         TEXT NOT NULL,
    branch_id  TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    -- What it was said for. The edits of a 'chat' are never built; a 'continue' goes on where the
    -- reply before it ended; a 'fix' gives the edits again that did not fit.
    kind       TEXT NOT NULL DEFAULT 'tell' CHECK (kind IN ('tell', 'chat', 'continue', 'fix')),
    -- Where the text came from: a person, a provider, or the message itself.
    source     TEXT NOT NULL,
    text       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN
        ('open', 'complete', 'stopped', 'truncated', 'refused', 'error', 'interrupted')),
    -- Whether its edits were left for a later build (see plan_builds).
    kept       INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1)),
    -- Estimated tokens of this message and all before it, so that those of a long conversation are
    -- not counted again; NULL while it is open and where they never were.
    tokens_to  INTEGER,
    created_at INTEGER NOT NULL,
    completed_at INTEGER,
    PRIMARY KEY (branch_id, id),
    UNIQUE (branch_id, number)
) STRICT;

-- What a run asks of a long conversation before it begins: is a reply open, is one not built yet.
CREATE INDEX convo_messages_open ON convo_messages (branch_id, number) WHERE state = 'open';
CREATE INDEX convo_messages_kept ON convo_messages (branch_id, number) WHERE kept = 1;

CREATE TRIGGER convo_messages_are_final BEFORE UPDATE ON convo_messages
WHEN OLD.state <> 'open'
BEGIN
    SELECT RAISE (ABORT, 'a completed message never changes');
END;

-- One file build: what became of the edits of one reply to one path. Written by a run. A reply
-- whose edits were kept, or whose run died, and that has no such row is not built yet: the next run
-- that builds does it. In the tree: builds/<id>.json.
CREATE TABLE plan_builds (
    id         TEXT NOT NULL,
    branch_id  TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    message_id TEXT NOT NULL,
    -- The run that built it, which may have been on the branch that this one was forked from.
    stream_id  TEXT NOT NULL DEFAULT '',
    path       TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('built', 'unchanged', 'failed')),
    -- The failure report as JSON (MODEL.md 3.5), or NULL.
    error      TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (branch_id, id)
) STRICT;

CREATE INDEX plan_builds_branch ON plan_builds (branch_id, created_at);
CREATE INDEX plan_builds_message ON plan_builds (branch_id, message_id);

-- A built file change that is not yet in the project. `base_hash` is the SHA-256 of the content
-- it was built on (NULL: the file was to be new), `blob` the new content in the plan's repository
-- (NULL: deletion). Written by a run, ended by `apply` or `reject`; one pending row a path.
CREATE TABLE pending_changes (
    id          TEXT NOT NULL,
    branch_id   TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    message_id  TEXT NOT NULL,
    path        TEXT NOT NULL,
    base_hash   TEXT,
    -- That content, in the plan's repository too; NULL where it is not kept.
    base_blob   TEXT,
    blob        TEXT,
    target_hash TEXT,
    -- Whether the file is to be a program; NULL leaves that as it is.
    executable  INTEGER CHECK (executable IN (0, 1)),
    -- The path that the file had before it got this one; its removal is a row of its own.
    moved_from  TEXT,
    added       INTEGER NOT NULL DEFAULT 0,
    removed     INTEGER NOT NULL DEFAULT 0,
    -- What a reader should know of the build (loosest tier, warnings), as JSON.
    notes       TEXT NOT NULL DEFAULT '{}',
    state       TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'applied', 'rejected', 'replaced')),
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    PRIMARY KEY (branch_id, id)
) STRICT;

CREATE UNIQUE INDEX pending_changes_path ON pending_changes (branch_id, path)
    WHERE state = 'pending';
-- Which plans want a file.
CREATE INDEX pending_changes_wanted ON pending_changes (path) WHERE state = 'pending';

-- What a conversation was about up to and with the message `up_to`, in the words of the model that
-- was asked for it. Written by a run whose conversation had outgrown the model's window, or by
-- `summary`; what is sent then holds it in place of those messages. The newest one counts.
CREATE TABLE summaries (
    id         TEXT NOT NULL,
    branch_id  TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    up_to      INTEGER NOT NULL,
    source     TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (branch_id, id),
    UNIQUE (branch_id, up_to)
) STRICT;

-- One run (tell, build, …): from its grant to its end. `ended` NULL means running, or dead if its
-- ticket is gone; the next writer then ends it as 'interrupted'. `report` is what `status` shows
-- of the last run until the next one starts. A run in the background that failed before its turn
-- came is recorded here too, without a message, so that somebody hears of it.
CREATE TABLE streams (
    id          TEXT PRIMARY KEY,
    branch_id   TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    ticket      INTEGER NOT NULL,
    -- The reply that it writes now: the text of the events after the number `reply_from`.
    message_id  TEXT,
    reply_from  INTEGER NOT NULL DEFAULT 0,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    ended       TEXT CHECK (ended IN ('ready', 'stopped', 'error', 'interrupted')),
    report      TEXT
) STRICT;

CREATE INDEX streams_branch ON streams (branch_id, started_at);
CREATE INDEX streams_ticket ON streams (ticket);

-- What happened in a run, in its order and in batches: the partial reply survives any death of the
-- runner, and `connect` replays it. `kind` is the event's type, `payload` its fields as JSON; the
-- reply's raw text is that of its `message.delta`s. The newest 20 runs of a branch keep their
-- events; a run that starts removes those of the older ones, at most 1000 rows at a time, but for
-- each run's last one, which says how it ended.
CREATE TABLE stream_events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    payload   TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX stream_events_number ON stream_events (stream_id, number);
-- How far a run is with its files is asked for while it is at work.
CREATE INDEX stream_events_files ON stream_events (stream_id, kind)
    WHERE kind IN ('file.started', 'file.completed');

-- The queue, which is the lock. One row a ticket: waiting, then held; deleting it releases.
--
--   waiting    in line; blocks what conflicts and stands behind it
--   granted    its turn, by the grant step of somebody's transaction; its owner has yet to confirm
--   held       confirmed: work may be done under it
--   parked     out of line, blocks nobody: a grant nobody confirmed, or the place of a wait that
--              timed out, which has no owner and is kept for a minute
--   condemned  held by an owner that hangs; fenced off, still blocks until it is removed
--
-- All but plan_id and scope have defaults: a row inserted by hand is a lock without an owner,
-- which the next acquisition removes.
CREATE TABLE repo_locks (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The order in line: the ticket's number, which a kept place keeps.
    place             INTEGER GENERATED ALWAYS AS (id) VIRTUAL,
    state             TEXT NOT NULL DEFAULT 'held'
        CHECK (state IN ('waiting', 'granted', 'held', 'parked', 'condemned')),
    -- The id of the audit row that the grant inserted: larger than every earlier grant's.
    fence             INTEGER NOT NULL DEFAULT 0,
    plan_id           TEXT NOT NULL,
    scope             TEXT NOT NULL CHECK (scope IN ('r', 'w')),
    -- The branch that a read is on; NULL for the root and for writes of the whole plan.
    branch            TEXT,
    reason            TEXT NOT NULL DEFAULT '',
    -- The hold that this ticket works below (plandex inside `plandex exec`), on whatever plan: it
    -- falls with it. NULL for most.
    parent            INTEGER REFERENCES repo_locks (id) ON DELETE CASCADE,
    -- The nearest of those holds that is on the same plan: it queues among the tickets below that
    -- one, and not in the plan's own line (0).
    below             INTEGER NOT NULL DEFAULT 0,
    -- What proves that a process runs below this hold (PLANDEX_LOCK_TOKEN); '' if none does.
    hold_token        TEXT NOT NULL DEFAULT '',
    doorbell          TEXT NOT NULL DEFAULT '',
    owner_id          TEXT NOT NULL DEFAULT '',
    actor             TEXT NOT NULL DEFAULT '',
    pid               INTEGER NOT NULL DEFAULT 0,
    pid_ns            INTEGER NOT NULL DEFAULT 0,
    process_start     INTEGER NOT NULL DEFAULT 0,
    host              TEXT NOT NULL DEFAULT '',
    command           TEXT NOT NULL DEFAULT '',
    queued_at         INTEGER NOT NULL DEFAULT 0,
    granted_at        INTEGER,
    last_heartbeat_at INTEGER NOT NULL DEFAULT 0,
    -- CLOCK_MONOTONIC milliseconds of the last proof of life, in the frame that follows.
    lease_stamp       INTEGER NOT NULL DEFAULT 0,
    boot_id           TEXT NOT NULL DEFAULT '',
    time_ns           INTEGER NOT NULL DEFAULT 0,
    cancel_requested  INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1))
) STRICT;

-- The table is as long as there are commands that run and wait, so a look at all of it costs less
-- than an index would cost every acquisition and every release: two more pages in the log.

-- What falls with a hold is found without a look at every ticket.
CREATE INDEX repo_locks_parent ON repo_locks (parent) WHERE parent IS NOT NULL;

-- A second belt: whatever the grant step says, there is one granted writer a line.
CREATE TRIGGER repo_locks_one_writer_new BEFORE INSERT ON repo_locks
WHEN NEW.scope = 'w' AND NEW.state IN ('granted', 'held', 'condemned')
BEGIN
    SELECT RAISE (ABORT, 'this line has a granted writer') FROM repo_locks e
    WHERE e.plan_id = NEW.plan_id AND e.below = NEW.below
      AND e.scope = 'w' AND e.state IN ('granted', 'held', 'condemned');
END;

CREATE TRIGGER repo_locks_one_writer BEFORE UPDATE OF state, scope, plan_id, below ON repo_locks
WHEN NEW.scope = 'w' AND NEW.state IN ('granted', 'held', 'condemned')
BEGIN
    SELECT RAISE (ABORT, 'this line has a granted writer') FROM repo_locks e
    WHERE e.plan_id = NEW.plan_id AND e.below = NEW.below AND e.id <> NEW.id
      AND e.scope = 'w' AND e.state IN ('granted', 'held', 'condemned');
END;

-- Who waited and held what, for how long, and how it ended. Each grant inserts one row, and its id
-- is the fence; a wait that ended without a grant inserts one too. Bounded: the oldest go first.
CREATE TABLE repo_locks_audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    plan_id    TEXT NOT NULL,
    -- When the row was written: at the grant, or at the end of a wait without one.
    created_at INTEGER NOT NULL,
    ticket     INTEGER NOT NULL,
    scope      TEXT NOT NULL,
    branch     TEXT,
    reason     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    command    TEXT NOT NULL,
    queued_at  INTEGER NOT NULL,
    granted_at INTEGER,
    ended_at   INTEGER,
    outcome    TEXT CHECK (outcome IN ('released', 'lease expired', 'owner died', 'forced',
        'cancelled', 'timed out', 'unconfirmed', 'deadlock', 'parent ended')),
    -- Who forced it: actor, pid and command of a `locks release` or `stop --force`.
    ended_by   TEXT
) STRICT;

CREATE INDEX repo_locks_audit_plan ON repo_locks_audit (plan_id, created_at);

-- One apply: the journal from which an interrupted one is finished or undone. The row is there
-- before anything is staged; whoever holds the project's apply lock next decides its files.
--
--   open          staging; no file of the project is touched yet
--   writing       all is staged and durable; any of its paths may be old or new
--   undoing       given up: every path goes back to what it was
--   clearing      all paths are new; slots beside them are being removed
--   files_done    the files are decided, new; the plan's rows follow in its next write turn
--   files_undone  the files are decided, old; likewise
--   done, undone  files and rows agree
--
-- The newest few that are done keep their originals in apply/<id>/; older ones are deleted with
-- their rows by a later apply. `undoes` names the apply whose originals this one brought back
-- (`apply --undo`): its paths are that one's, its changes are pending again in the end.
CREATE TABLE applies (
    id          TEXT PRIMARY KEY,
    plan_id     TEXT NOT NULL,
    branch_id   TEXT NOT NULL,
    ticket      INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN
        ('open', 'writing', 'undoing', 'clearing', 'files_done', 'files_undone', 'done', 'undone')),
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    undoes      TEXT
) STRICT;

CREATE INDEX applies_state ON applies (state);
CREATE INDEX applies_branch ON applies (branch_id, created_at);

-- One path of an apply: what was there (base_hash, NULL for nothing) and what is to be there
-- (target_hash, NULL for nothing); equal hashes: it was there already and is not touched. What is
-- not in place, first the new content and then the saved original, is in the path's slot: the file
-- <number> in apply/<id>/, or, where that is another mount, `.plandex-<id>-<number>` in the
-- deepest directory of the path that was there, with a copy of the original in apply/<id>/. A path
-- that is written through sudo has no slot: its new content is in `<number>.new` beside that copy.
-- Where old and new differ only in whether the file is a program, both hashes end in -x or +x.
CREATE TABLE apply_files (
    apply_id    TEXT NOT NULL REFERENCES applies (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    change_id   TEXT NOT NULL,
    path        TEXT NOT NULL,
    base_hash   TEXT,
    target_hash TEXT,
    slot        TEXT NOT NULL DEFAULT 'private' 
        CHECK (slot IN ('private', 'beside', 'sudo')),
    -- How many of its directories were there before; the others are made, and an undo removes
    -- those of them that are empty.
    parents     INTEGER NOT NULL DEFAULT 0,
    state       TEXT NOT NULL DEFAULT 'planned'
        CHECK (state IN ('planned', 'written', 'restored', 'failed', 'left')),
    error       TEXT,
    PRIMARY KEY (apply_id, number)
) STRICT;

-- Which plan and branch a terminal works on; terminal '' is the project's, for scripts. Written by
-- `new`, `cd`, `checkout`. Rows of terminals that are long gone are pruned by `doctor`.
CREATE TABLE selections (
    terminal  TEXT PRIMARY KEY,
    plan_id   TEXT NOT NULL,
    branch    TEXT NOT NULL DEFAULT 'main',
    chosen_at INTEGER NOT NULL
) STRICT;

-- Settings that every process must agree on: lock.heartbeat and lock.lease in milliseconds,
-- queue.max, and where the project's root is. Changed only while no ticket exists.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

INSERT INTO settings (name, value) VALUES
    ('lock.heartbeat', '3000'),
    ('lock.lease', '60000'),
    ('queue.max', '100');

-- The seed's diagnostic queries (SEED.md 6.4).
CREATE VIEW active_locks AS
    SELECT l.id, l.plan_id, l.scope, l.branch, l.last_heartbeat_at,
           plandex_wall_ms() - l.last_heartbeat_at AS age, p.name AS plan_name
    FROM repo_locks l LEFT JOIN plans p ON p.id = l.plan_id
    WHERE l.state = 'held'
    ORDER BY l.last_heartbeat_at DESC;

-- The predicate the code uses: a lease is compared only with stamps of the same clock.
CREATE VIEW expired_locks AS
    SELECT * FROM repo_locks
    WHERE state IN ('held', 'condemned')
      AND boot_id = plandex_boot_id() AND time_ns = plandex_time_ns()
      AND plandex_monotonic_ms() - lease_stamp >
          (SELECT CAST(value AS INTEGER) FROM settings WHERE name = 'lock.lease');
