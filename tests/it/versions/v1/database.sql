BEGIN TRANSACTION;
CREATE TABLE applies (
    id          TEXT PRIMARY KEY,
    plan_id     TEXT NOT NULL,
    branch_id   TEXT NOT NULL,
    ticket      INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN
        ('open', 'writing', 'undoing', 'clearing', 'files_done', 'files_undone', 'done', 'undone')),
    created_at  INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
INSERT INTO "applies" VALUES('01a20953-49e5-753b-bbb1-eb8c5d79df83','01a20953-4961-74be-86b9-85a2ebdc6a7b','01a20953-49ce-737b-b21b-a1ef022ed22f',5,'done',1795452783077,1795452783114);
CREATE TABLE apply_files (
    apply_id    TEXT NOT NULL REFERENCES applies (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    change_id   TEXT NOT NULL,
    path        TEXT NOT NULL,
    base_hash   TEXT,
    target_hash TEXT,
    slot        TEXT NOT NULL DEFAULT 'private' CHECK (slot IN ('private', 'beside')),
    -- How many of its directories were there before; the others are made, and an undo removes
    -- those of them that are empty.
    parents     INTEGER NOT NULL DEFAULT 0,
    state       TEXT NOT NULL DEFAULT 'planned'
        CHECK (state IN ('planned', 'written', 'restored', 'failed', 'left')),
    error       TEXT,
    PRIMARY KEY (apply_id, number)
) STRICT;
INSERT INTO "apply_files" VALUES('01a20953-49e5-753b-bbb1-eb8c5d79df83',0,'01a20953-49ce-737b-b21b-a1f439f84ea3','a.txt','c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8','c78a5ec2c28be893afb6225ef05c556ef289bb4b6b76e7fc358c29e791179123','private',0,'written',NULL);
INSERT INTO "apply_files" VALUES('01a20953-49e5-753b-bbb1-eb8c5d79df83',1,'01a20953-49ce-737b-b21b-a1f5de9ac3a3','b.txt',NULL,'9ccbd3f1b19a1cdfd8d7c6ae48e9e822e2345f5be1a6187b19e41486c6941004','private',0,'written',NULL);
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
INSERT INTO "branches" VALUES('01a20953-4961-74be-86b9-85a33bf6d4f4','01a20953-4961-74be-86b9-85a2ebdc6a7b','main',NULL,'eab60b38b7860b6eae3aaf285b09cbcd78cf0141','ready',NULL,1795452782961,1795452783033,NULL);
INSERT INTO "branches" VALUES('01a20953-49ce-737b-b21b-a1ef022ed22f','01a20953-4961-74be-86b9-85a2ebdc6a7b','side','01a20953-4961-74be-86b9-85a33bf6d4f4','c1a5b6256bdbba52449af55f1db09b059c1ec61c','ready',NULL,1795452783054,1795452783128,NULL);
INSERT INTO "branches" VALUES('01a20953-4a22-7486-a43f-03840d8bf682','01a20953-4961-74be-86b9-85a2ebdc6a7b','twig','01a20953-49ce-737b-b21b-a1ef022ed22f','c1a5b6256bdbba52449af55f1db09b059c1ec61c','ready',NULL,1795452783138,1795452783138,NULL);
INSERT INTO "branches" VALUES('01a20953-4a3d-765b-a6ac-a8eac75423e6','01a20953-4a3d-765b-a6ac-a8e97ff76fbc','main',NULL,'d3e1d4d034531cb83a7e56a499aaedbafa2b842b','draft',NULL,1795452783176,1795452783176,NULL);
CREATE TABLE contexts (
    id         TEXT PRIMARY KEY,
    branch_id  TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('file', 'tree', 'note', 'piped')),
    name       TEXT NOT NULL,
    path       TEXT,
    blob       TEXT NOT NULL,
    hash       TEXT NOT NULL,
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL DEFAULT 0,
    tokens     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO "contexts" VALUES('01a20953-4981-712f-aab2-807c46a32174','01a20953-4961-74be-86b9-85a33bf6d4f4','file','a.txt','a.txt','814f4a422927b82f5f8a43f8fab6d3839e3983f2','c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8',8,1795452782923129974,4,1795452782977,1795452782977);
INSERT INTO "contexts" VALUES('01a20953-4997-7531-8f30-201cb5ff0f63','01a20953-4961-74be-86b9-85a33bf6d4f4','note','mind the gap',NULL,'3f8855544e39ac85b6fae50c14e187667a7e5270','041323ae2a3fef42f669568fb16290a3a832cf44eb8320b0eaa118eadf6f0375',12,0,3,1795452782999,1795452782999);
INSERT INTO "contexts" VALUES('01a20953-49ce-737b-b21b-a1f0b7232272','01a20953-49ce-737b-b21b-a1ef022ed22f','file','a.txt','a.txt','814f4a422927b82f5f8a43f8fab6d3839e3983f2','c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8',8,1795452782923129974,4,1795452782977,1795452782977);
INSERT INTO "contexts" VALUES('01a20953-49ce-737b-b21b-a1f1e065a308','01a20953-49ce-737b-b21b-a1ef022ed22f','note','mind the gap',NULL,'3f8855544e39ac85b6fae50c14e187667a7e5270','041323ae2a3fef42f669568fb16290a3a832cf44eb8320b0eaa118eadf6f0375',12,0,3,1795452782999,1795452782999);
INSERT INTO "contexts" VALUES('01a20953-4a22-7486-a43f-0385a3a5097b','01a20953-4a22-7486-a43f-03840d8bf682','file','a.txt','a.txt','814f4a422927b82f5f8a43f8fab6d3839e3983f2','c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8',8,1795452782923129974,4,1795452782977,1795452782977);
INSERT INTO "contexts" VALUES('01a20953-4a22-7486-a43f-0386f72eba05','01a20953-4a22-7486-a43f-03840d8bf682','note','mind the gap',NULL,'3f8855544e39ac85b6fae50c14e187667a7e5270','041323ae2a3fef42f669568fb16290a3a832cf44eb8320b0eaa118eadf6f0375',12,0,3,1795452782999,1795452782999);
CREATE TABLE convo_messages (
    id         TEXT PRIMARY KEY,
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
    created_at INTEGER NOT NULL,
    completed_at INTEGER,
    UNIQUE (branch_id, number)
) STRICT;
INSERT INTO "convo_messages" VALUES('01a20953-49ae-744f-b3c0-a5f3aedfafb1','01a20953-4961-74be-86b9-85a33bf6d4f4',1,'user','tell','user','Change.

a.txt
```
<<<<<<< SEARCH
one
=======
ONE
>>>>>>> REPLACE
```

b.txt
```
<<<<<<< SEARCH
=======
made
>>>>>>> REPLACE
```
','complete',0,1795452783022,1795452783022);
INSERT INTO "convo_messages" VALUES('01a20953-49ae-744f-b3c0-a5f493213e6d','01a20953-4961-74be-86b9-85a33bf6d4f4',2,'assistant','tell','literal','','complete',0,1795452783022,1795452783026);
INSERT INTO "convo_messages" VALUES('01a20953-49ce-737b-b21b-a1f2472c15af','01a20953-49ce-737b-b21b-a1ef022ed22f',1,'user','tell','user','Change.

a.txt
```
<<<<<<< SEARCH
one
=======
ONE
>>>>>>> REPLACE
```

b.txt
```
<<<<<<< SEARCH
=======
made
>>>>>>> REPLACE
```
','complete',0,1795452783022,1795452783022);
INSERT INTO "convo_messages" VALUES('01a20953-49ce-737b-b21b-a1f3157d28ad','01a20953-49ce-737b-b21b-a1ef022ed22f',2,'assistant','tell','literal','','complete',0,1795452783022,1795452783026);
INSERT INTO "convo_messages" VALUES('01a20953-4a14-7605-9edc-07a652bd71eb','01a20953-49ce-737b-b21b-a1ef022ed22f',3,'user','tell','user','Later.

c.txt
```
<<<<<<< SEARCH
=======
c
>>>>>>> REPLACE
```
','complete',0,1795452783124,1795452783124);
INSERT INTO "convo_messages" VALUES('01a20953-4a14-7605-9edc-07a7951de863','01a20953-49ce-737b-b21b-a1ef022ed22f',4,'assistant','tell','literal','','complete',1,1795452783124,1795452783126);
INSERT INTO "convo_messages" VALUES('01a20953-4a22-7486-a43f-0387a9b1de4b','01a20953-4a22-7486-a43f-03840d8bf682',1,'user','tell','user','Change.

a.txt
```
<<<<<<< SEARCH
one
=======
ONE
>>>>>>> REPLACE
```

b.txt
```
<<<<<<< SEARCH
=======
made
>>>>>>> REPLACE
```
','complete',0,1795452783022,1795452783022);
INSERT INTO "convo_messages" VALUES('01a20953-4a22-7486-a43f-03889f057346','01a20953-4a22-7486-a43f-03840d8bf682',2,'assistant','tell','literal','','complete',0,1795452783022,1795452783026);
INSERT INTO "convo_messages" VALUES('01a20953-4a22-7486-a43f-0389fa439515','01a20953-4a22-7486-a43f-03840d8bf682',3,'user','tell','user','Later.

c.txt
```
<<<<<<< SEARCH
=======
c
>>>>>>> REPLACE
```
','complete',0,1795452783124,1795452783124);
INSERT INTO "convo_messages" VALUES('01a20953-4a22-7486-a43f-038ade5afebe','01a20953-4a22-7486-a43f-03840d8bf682',4,'assistant','tell','literal','','complete',1,1795452783124,1795452783126);
CREATE TABLE pending_changes (
    id          TEXT PRIMARY KEY,
    branch_id   TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    message_id  TEXT NOT NULL,
    path        TEXT NOT NULL,
    base_hash   TEXT,
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
    ended_at    INTEGER
) STRICT;
INSERT INTO "pending_changes" VALUES('01a20953-49b2-72f7-ae45-be2c5a71c02e','01a20953-4961-74be-86b9-85a33bf6d4f4','01a20953-49ae-744f-b3c0-a5f493213e6d','a.txt','c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8','4c1ee586b89c236961f884e55c2745659e6e45f6','c78a5ec2c28be893afb6225ef05c556ef289bb4b6b76e7fc358c29e791179123',NULL,NULL,1,1,'{"path":"a.txt","op":"update","added":1,"removed":1,"tier":"exact","warnings":[],"autoRun":false}','pending',1795452783026,NULL);
INSERT INTO "pending_changes" VALUES('01a20953-49b2-72f7-ae45-be2de0ebbb07','01a20953-4961-74be-86b9-85a33bf6d4f4','01a20953-49ae-744f-b3c0-a5f493213e6d','b.txt',NULL,'c5f1b8eaf85917b894fea0c18c228e380290308a','9ccbd3f1b19a1cdfd8d7c6ae48e9e822e2345f5be1a6187b19e41486c6941004',NULL,NULL,1,0,'{"path":"b.txt","op":"add","added":1,"removed":0,"tier":"exact","warnings":[],"autoRun":false}','pending',1795452783026,NULL);
INSERT INTO "pending_changes" VALUES('01a20953-49ce-737b-b21b-a1f439f84ea3','01a20953-49ce-737b-b21b-a1ef022ed22f','01a20953-49ae-744f-b3c0-a5f493213e6d','a.txt','c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8','4c1ee586b89c236961f884e55c2745659e6e45f6','c78a5ec2c28be893afb6225ef05c556ef289bb4b6b76e7fc358c29e791179123',NULL,NULL,1,1,'{"path":"a.txt","op":"update","added":1,"removed":1,"tier":"exact","warnings":[],"autoRun":false}','applied',1795452783026,1795452783114);
INSERT INTO "pending_changes" VALUES('01a20953-49ce-737b-b21b-a1f5de9ac3a3','01a20953-49ce-737b-b21b-a1ef022ed22f','01a20953-49ae-744f-b3c0-a5f493213e6d','b.txt',NULL,'c5f1b8eaf85917b894fea0c18c228e380290308a','9ccbd3f1b19a1cdfd8d7c6ae48e9e822e2345f5be1a6187b19e41486c6941004',NULL,NULL,1,0,'{"path":"b.txt","op":"add","added":1,"removed":0,"tier":"exact","warnings":[],"autoRun":false}','applied',1795452783026,1795452783114);
CREATE TABLE plan_builds (
    id         TEXT PRIMARY KEY,
    branch_id  TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    message_id TEXT NOT NULL,
    -- The run that built it; '' where the row was copied to a forked branch.
    stream_id  TEXT NOT NULL DEFAULT '',
    path       TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('built', 'unchanged', 'failed')),
    -- The failure report as JSON (MODEL.md 3.5), or NULL.
    error      TEXT,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO "plan_builds" VALUES('01a20953-49b9-7576-aef7-0b5f484586e7','01a20953-4961-74be-86b9-85a33bf6d4f4','01a20953-49ae-744f-b3c0-a5f493213e6d','01a20953-49ae-744f-b3c0-a5f5a6cc4c08','a.txt','built',NULL,1795452783033);
INSERT INTO "plan_builds" VALUES('01a20953-49b9-7576-aef7-0b60dd07ea87','01a20953-4961-74be-86b9-85a33bf6d4f4','01a20953-49ae-744f-b3c0-a5f493213e6d','01a20953-49ae-744f-b3c0-a5f5a6cc4c08','b.txt','built',NULL,1795452783033);
INSERT INTO "plan_builds" VALUES('01a20953-49ce-737b-b21b-a1f6b1de279e','01a20953-49ce-737b-b21b-a1ef022ed22f','01a20953-49ce-737b-b21b-a1f3157d28ad','','a.txt','built',NULL,1795452783033);
INSERT INTO "plan_builds" VALUES('01a20953-49ce-737b-b21b-a1f720ecb8cf','01a20953-49ce-737b-b21b-a1ef022ed22f','01a20953-49ce-737b-b21b-a1f3157d28ad','','b.txt','built',NULL,1795452783033);
INSERT INTO "plan_builds" VALUES('01a20953-4a22-7486-a43f-038b432b449c','01a20953-4a22-7486-a43f-03840d8bf682','01a20953-4a22-7486-a43f-03889f057346','','a.txt','built',NULL,1795452783033);
INSERT INTO "plan_builds" VALUES('01a20953-4a22-7486-a43f-038c824bed0e','01a20953-4a22-7486-a43f-03840d8bf682','01a20953-4a22-7486-a43f-03889f057346','','b.txt','built',NULL,1795452783033);
CREATE TABLE plans (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    archived_at INTEGER,
    deleted_at  INTEGER,
    deleted_by  TEXT
) STRICT;
INSERT INTO "plans" VALUES('01a20953-4961-74be-86b9-85a2ebdc6a7b','first',1795452782961,1795452783128,NULL,NULL,NULL);
INSERT INTO "plans" VALUES('01a20953-4a3d-765b-a6ac-a8e97ff76fbc','second',1795452783176,1795452783176,NULL,NULL,NULL);
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
INSERT INTO "repo_locks_audit" VALUES(1,'01a20953-4961-74be-86b9-85a2ebdc6a7b',1795452782976,1,'r','main','load context','ann',19312,'plandex-v1 load a.txt',1795452782976,1795452782976,1795452782990,'released',NULL);
INSERT INTO "repo_locks_audit" VALUES(2,'01a20953-4961-74be-86b9-85a2ebdc6a7b',1795452782999,2,'r','main','load context','ann',19324,'plandex-v1 load -n ''mind the gap''',1795452782999,1795452782999,1795452783012,'released',NULL);
INSERT INTO "repo_locks_audit" VALUES(3,'01a20953-4961-74be-86b9-85a2ebdc6a7b',1795452783021,3,'w',NULL,'tell execution','ann',19334,'plandex-v1 tell ''Change.

a.txt
```
<<<<<<< SEARCH
one
=======
ONE
>>>>>>> REPLACE
```

b.txt
```
<<<<<<< SEARCH
=======
made
>>>>>>> REPLACE
```
''',1795452783021,1795452783021,1795452783047,'released',NULL);
INSERT INTO "repo_locks_audit" VALUES(4,'01a20953-4961-74be-86b9-85a2ebdc6a7b',1795452783053,4,'w',NULL,'create branch','ann',19349,'plandex-v1 checkout -b side',1795452783053,1795452783053,1795452783059,'released',NULL);
INSERT INTO "repo_locks_audit" VALUES(5,'01a20953-4961-74be-86b9-85a2ebdc6a7b',1795452783071,5,'w',NULL,'apply changes','ann',19356,'plandex-v1 apply --yes',1795452783071,1795452783071,1795452783117,'released',NULL);
INSERT INTO "repo_locks_audit" VALUES(6,'01a20953-4961-74be-86b9-85a2ebdc6a7b',1795452783123,6,'w',NULL,'tell execution','ann',19380,'plandex-v1 tell --no-build ''Later.

c.txt
```
<<<<<<< SEARCH
=======
c
>>>>>>> REPLACE
```
''',1795452783123,1795452783123,1795452783132,'released',NULL);
INSERT INTO "repo_locks_audit" VALUES(7,'01a20953-4961-74be-86b9-85a2ebdc6a7b',1795452783137,7,'w',NULL,'create branch','ann',19389,'plandex-v1 checkout -b twig',1795452783137,1795452783137,1795452783143,'released',NULL);
CREATE TABLE selections (
    terminal  TEXT PRIMARY KEY,
    plan_id   TEXT NOT NULL,
    branch    TEXT NOT NULL DEFAULT 'main',
    chosen_at INTEGER NOT NULL
) STRICT;
INSERT INTO "selections" VALUES('','01a20953-4961-74be-86b9-85a2ebdc6a7b','main',1795452783196);
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO "settings" VALUES('lock.heartbeat','3000');
INSERT INTO "settings" VALUES('lock.lease','60000');
INSERT INTO "settings" VALUES('queue.max','100');
CREATE TABLE stream_events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    payload   TEXT NOT NULL
) STRICT;
INSERT INTO "stream_events" VALUES(1,'01a20953-49ae-744f-b3c0-a5f5a6cc4c08',1,1795452783022,'turn.started','{"kind":"tell","number":1,"promptSha256":"d629e708f6e2f2a490d6e374bdca36e86e93780a2445f244cba841d9b64cb5a2","promptTokensEstimate":0,"provider":"literal","providerSource":"nothing else is configured","waitedMs":0}');
INSERT INTO "stream_events" VALUES(2,'01a20953-49ae-744f-b3c0-a5f5a6cc4c08',2,1795452783025,'file.started','{"format":"search_replace","path":"a.txt"}');
INSERT INTO "stream_events" VALUES(3,'01a20953-49ae-744f-b3c0-a5f5a6cc4c08',3,1795452783025,'file.started','{"format":"search_replace","path":"b.txt"}');
INSERT INTO "stream_events" VALUES(4,'01a20953-49ae-744f-b3c0-a5f5a6cc4c08',4,1795452783026,'file.completed','{"built":{"added":1,"autoRun":false,"op":"update","path":"a.txt","removed":1,"tier":"exact","warnings":[]},"path":"a.txt","status":"built"}');
INSERT INTO "stream_events" VALUES(5,'01a20953-49ae-744f-b3c0-a5f5a6cc4c08',5,1795452783026,'file.completed','{"built":{"added":1,"autoRun":false,"op":"add","path":"b.txt","removed":0,"tier":"exact","warnings":[]},"path":"b.txt","status":"built"}');
INSERT INTO "stream_events" VALUES(6,'01a20953-49ae-744f-b3c0-a5f5a6cc4c08',6,1795452783026,'turn.completed','{"built":2,"durationMs":1,"failed":0,"malformed":0,"number":1,"state":"complete"}');
INSERT INTO "stream_events" VALUES(7,'01a20953-4a14-7605-9edc-07a8fc69ed2c',1,1795452783124,'turn.started','{"kind":"tell","number":3,"promptSha256":"d41db9c4d76f23d1854f0bccdc1ed94eb5b3a2713a6ca8a657bdf3b5ff3d22ed","promptTokensEstimate":0,"provider":"literal","providerSource":"nothing else is configured","waitedMs":0}');
INSERT INTO "stream_events" VALUES(8,'01a20953-4a14-7605-9edc-07a8fc69ed2c',2,1795452783126,'file.started','{"format":"search_replace","path":"c.txt"}');
INSERT INTO "stream_events" VALUES(9,'01a20953-4a14-7605-9edc-07a8fc69ed2c',3,1795452783126,'turn.completed','{"built":0,"durationMs":0,"failed":0,"kept":1,"malformed":0,"number":3,"state":"complete"}');
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
INSERT INTO "streams" VALUES('01a20953-49ae-744f-b3c0-a5f5a6cc4c08','01a20953-4961-74be-86b9-85a33bf6d4f4',3,'01a20953-49ae-744f-b3c0-a5f493213e6d',0,1795452783022,1795452783033,'ready','{"built":2,"unchanged":0,"failed":0,"remaining":[],"kept":0,"errors":[],"partial":false,"chat":false}');
INSERT INTO "streams" VALUES('01a20953-4a14-7605-9edc-07a8fc69ed2c','01a20953-49ce-737b-b21b-a1ef022ed22f',6,'01a20953-4a14-7605-9edc-07a7951de863',0,1795452783124,1795452783128,'ready','{"built":0,"unchanged":0,"failed":0,"remaining":[],"kept":1,"errors":[],"partial":false,"chat":false}');
CREATE TABLE summaries (
    id         TEXT PRIMARY KEY,
    branch_id  TEXT NOT NULL REFERENCES branches (id) ON DELETE CASCADE,
    up_to      INTEGER NOT NULL,
    source     TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (branch_id, up_to)
) STRICT;
CREATE UNIQUE INDEX plans_live_name ON plans (name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX branches_live_name ON branches (plan_id, name) WHERE deleted_at IS NULL;
CREATE INDEX contexts_branch ON contexts (branch_id, created_at);
CREATE UNIQUE INDEX contexts_path ON contexts (branch_id, path) WHERE path IS NOT NULL;
CREATE TRIGGER convo_messages_are_final BEFORE UPDATE ON convo_messages
WHEN OLD.state <> 'open'
BEGIN
    SELECT RAISE (ABORT, 'a completed message never changes');
END;
CREATE INDEX plan_builds_branch ON plan_builds (branch_id, created_at);
CREATE INDEX plan_builds_message ON plan_builds (message_id);
CREATE UNIQUE INDEX pending_changes_path ON pending_changes (branch_id, path)
    WHERE state = 'pending';
CREATE INDEX streams_branch ON streams (branch_id, started_at);
CREATE INDEX streams_ticket ON streams (ticket);
CREATE UNIQUE INDEX stream_events_number ON stream_events (stream_id, number);
CREATE INDEX stream_events_files ON stream_events (stream_id, kind)
    WHERE kind IN ('file.started', 'file.completed');
CREATE INDEX repo_locks_parent ON repo_locks (parent) WHERE parent IS NOT NULL;
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
CREATE INDEX repo_locks_audit_plan ON repo_locks_audit (plan_id, created_at);
CREATE INDEX applies_state ON applies (state);
CREATE INDEX applies_branch ON applies (branch_id, created_at);
CREATE VIEW active_locks AS
    SELECT l.id, l.plan_id, l.scope, l.branch, l.last_heartbeat_at,
           plandex_wall_ms() - l.last_heartbeat_at AS age, p.name AS plan_name
    FROM repo_locks l LEFT JOIN plans p ON p.id = l.plan_id
    WHERE l.state = 'held'
    ORDER BY l.last_heartbeat_at DESC;
CREATE VIEW expired_locks AS
    SELECT * FROM repo_locks
    WHERE state IN ('held', 'condemned')
      AND boot_id = plandex_boot_id() AND time_ns = plandex_time_ns()
      AND plandex_monotonic_ms() - lease_stamp >
          (SELECT CAST(value AS INTEGER) FROM settings WHERE name = 'lock.lease');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('repo_locks_audit',7);
INSERT INTO "sqlite_sequence" VALUES('repo_locks',7);
INSERT INTO "sqlite_sequence" VALUES('stream_events',9);
COMMIT;
PRAGMA user_version = 1;
