//! Programs that are asked: what they are given, what is made of how they end.

use std::time::{Duration, Instant};

use plandex::model::{self, Chosen, Delta, Finish, Kind, Phase, Program, Provider, Words};
use plandex::platform::cancel::{Cancel, Reason};

use super::{LIMIT, ask, request};
use crate::support::poll;

fn shell(line: &str) -> Chosen {
    chosen(Words::Shell(line.into()), 0)
}

fn chosen(words: Words, depth: u32) -> Chosen {
    let dir = std::env::temp_dir();
    Chosen::from(Provider::Command(Program { words, dir, depth }))
}

#[test]
fn the_prompt_goes_in_and_the_reply_comes_out() {
    let heard = ask(&shell("printf 'got: '; cat"));
    assert_eq!(
        heard.text,
        "got: # system\n\nYou change files.\n\n# user\n\nChange one.\n"
    );
    let finished = heard.end.unwrap();
    assert_eq!((finished.finish, finished.usage), (Finish::Stop, None));
    assert_eq!(finished.provenance, "command:printf");
    let words = ["echo", "a b", "$HOME"].map(Into::into).to_vec();
    assert_eq!(ask(&chosen(Words::Argv(words), 0)).text, "a b $HOME\n");
}

#[test]
fn its_environment_tells_it_where_it_is() {
    let heard = ask(&shell(
        "cat >/dev/null; echo $PLANDEX_PLAN $PLANDEX_BRANCH $PLANDEX_DEPTH; \
         stat -c %a \"$PLANDEX_REQUEST_JSON\"; cat \"$PLANDEX_REQUEST_JSON\"; \
         printf '\\n%s' \"$PLANDEX_REQUEST_JSON\"",
    ));
    let lines: Vec<&str> = heard.text.lines().collect();
    assert_eq!(lines[..2], ["draft main 1", "600"]);
    let json: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(json["messages"][0]["role"], "system");
    assert_eq!(json["messages"][1]["content"], "Change one.");
    assert!(!std::path::Path::new(lines[3]).exists(), "{}", lines[3]);
}

#[test]
fn a_prompt_larger_than_any_pipe_blocks_nobody() {
    let mut large = request();
    large.messages[1].content = "0123456789abcde\n".repeat(1 << 16);
    let hear = |line: &str| {
        let cancel = Cancel::new().unwrap();
        let deltas = model::stream(&shell(line), &large, &cancel).unwrap();
        let mut text = 0;
        for delta in deltas {
            match delta {
                Delta::Text(more) => text += more.len(),
                Delta::Failed(error) => panic!("{error:?}"),
                Delta::Thinking(_) | Delta::Phase(_) | Delta::Finished(_) => {}
            }
        }
        text
    };
    // Prints as much before it reads; and reads nothing at all.
    assert_eq!(
        hear("head -c 1000000 /dev/zero | tr '\\0' x; cat >/dev/null"),
        1_000_000
    );
    assert_eq!(hear("echo read nothing"), 13);
    assert!(hear("cat") > 1 << 20);
}

#[test]
fn how_it_ends_decides() {
    for (line, kind, words, partial) in [
        (
            "echo half; echo no such model >&2; exit 7",
            Kind::Command,
            "exit code 7: no such model",
            true,
        ),
        (
            "exit 3",
            Kind::Command,
            "exit code 3: it said nothing",
            false,
        ),
        ("echo x; kill -9 $$", Kind::Command, "signal 9", true),
        ("true", Kind::Empty, "printed no reply", false),
        ("printf 'ab\\377'", Kind::Protocol, "byte 2", false),
        (
            "no-such-program-4711",
            Kind::Command,
            "exit code 127",
            false,
        ),
    ] {
        let error = ask(&shell(line)).end.unwrap_err();
        assert_eq!(
            (error.kind, error.partial),
            (kind, partial),
            "{line}: {error}"
        );
        assert!(error.message.contains(words), "{line}: {error}");
    }
    let words = Words::Argv(vec!["no-such-program-4711".into()]);
    let error = ask(&chosen(words, 0)).end.unwrap_err();
    assert!(
        error.message.contains("cannot run no-such-program-4711"),
        "{error}"
    );
}

#[test]
fn what_is_for_a_terminal_is_left_out_and_what_it_says_aside_is_passed_on() {
    let heard = ask(&shell(
        "cat >/dev/null; printf '\\033[1mbold\\033[0m\\r\\n\\033]52;c;aGk=\\007end'; \
         printf '\\033[2mloading\\033[0m\\nmore' >&2",
    ));
    assert_eq!(heard.text, "bold\nend");
    let said: Vec<&str> = heard
        .phases
        .iter()
        .filter_map(|phase| {
            let Phase::CommandSays { words } = phase else {
                return None;
            };
            Some(words.as_str())
        })
        .collect();
    assert_eq!(said, ["loading", "more"]);
}

#[test]
fn silence_ends_it_and_all_that_it_started() {
    let mut chosen = shell("echo begun; sleep 4711 & echo $!; wait");
    (chosen.limits.idle, chosen.limits.first_byte) =
        (Duration::from_millis(300), Duration::from_secs(30));
    let heard = ask(&chosen);
    let error = heard.end.unwrap_err();
    assert_eq!((error.kind, error.partial), (Kind::Timeout, true));
    let pid: u32 = heard.text.lines().nth(1).unwrap().parse().unwrap();
    gone(pid);
}

#[test]
fn the_word_to_stop_ends_it_even_if_it_ignores_term() {
    for line in [
        "echo $$; exec sleep 4711",
        "trap '' TERM; echo $$; while :; do sleep 0.1; done",
    ] {
        let cancel = Cancel::new().unwrap();
        let deltas = model::stream(&shell(line), &request(), &cancel).unwrap();
        let pid = loop {
            if let Delta::Text(text) = deltas.recv_timeout(LIMIT).unwrap() {
                break text.trim().parse().unwrap();
            }
        };
        let begun = Instant::now();
        cancel.set(Reason::Stopped);
        model::wait_for_end(&shell(line), &deltas);
        assert!(begun.elapsed() < Duration::from_secs(5));
        gone(pid);
    }
}

#[test]
fn a_daemon_that_it_leaves_behind_is_not_waited_for() {
    let heard = ask(&shell("echo all; sleep 30 & echo $!"));
    assert_eq!(heard.end.unwrap().finish, Finish::Stop);
    let pid: i32 = heard.text.lines().nth(1).unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
}

#[test]
fn commands_do_not_ask_each_other_for_ever() {
    let error = ask(&chosen(Words::Shell("echo x".into()), 3))
        .end
        .unwrap_err();
    assert!(error.message.contains("3 commands"), "{error}");
    assert!(ask(&chosen(Words::Shell("echo x".into()), 2)).end.is_ok());
}

/// Waits until a process has ended.
#[track_caller]
fn gone(pid: u32) {
    let is_gone = || {
        let stat = plandex::platform::process::stat(pid);
        stat.is_none_or(|stat| stat.state == 'Z').then_some(())
    };
    assert!(poll(LIMIT, is_gone).is_some(), "{pid} still runs");
}
