use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Fake, wag};

/// What a manager's refusal looks like, with the exit code.
async fn refused(refusal: Status, line: &[&str]) -> String {
    let said = wag(Fake::refusing(refusal), line).await;
    assert_eq!(said.out, "", "a refusal is no data");
    format!("{}exit {}", said.err, said.exit)
}

fn reason(code: Code, message: &str, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "waggoner", HashMap::new());
    Status::with_error_details(code, message, details)
}

#[tokio::test]
async fn a_refusal_is_a_sentence_with_a_hint() {
    let refusal = reason(
        Code::FailedPrecondition,
        "failed to delete the plugin `1`: the blueprint `web` uses it",
        "PLUGIN_IN_USE",
    );
    insta::assert_snapshot!(refused(refusal, &["plugins", "delete", "1"]).await, @"
    error: failed to delete the plugin `1`: the blueprint `web` uses it
     hint: add --force to delete it nevertheless
    exit 3
    ");
}

#[tokio::test]
async fn findings_are_listed_one_a_line_with_their_places() {
    let mut details = ErrorDetails::with_error_info("INVALID_INPUTS", "waggoner", HashMap::new());
    details.add_bad_request_violation("blueprint.yaml:12:5", "the input `port` is missing");
    details.add_bad_request_violation("", "the input `prot` is unknown");
    let message = "failed to create the deployment `web`: 2 inputs are wrong";
    let refusal = Status::with_error_details(Code::InvalidArgument, message, details);
    let line = ["deployments", "create", "web", "-b", "web"];
    insta::assert_snapshot!(refused(refusal, &line).await, @"
    error: failed to create the deployment `web`: 2 inputs are wrong
      blueprint.yaml:12:5: the input `port` is missing
      the input `prot` is unknown
     hint: name inputs with `-i NAME=VALUE` or --inputs
    exit 3
    ");
}

#[tokio::test]
async fn who_lacks_a_secret_is_told_how_to_store_it() {
    let details = ErrorDetails::with_error_info("UNKNOWN_SECRET", "waggoner", HashMap::new());
    let message = "failed to create deployment `web`: the deployment needs secrets that are not \
                   there: `token`";
    let refusal = Status::with_error_details(Code::InvalidArgument, message, details);
    let line = ["deployments", "create", "web", "-b", "web"];
    insta::assert_snapshot!(refused(refusal, &line).await, @"
    error: failed to create deployment `web`: the deployment needs secrets that are not there: `token`
     hint: `wag secrets put KEY` stores a secret
    exit 3
    ");
}

#[tokio::test]
async fn a_finding_that_is_the_sentence_itself_is_not_said_twice() {
    let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "waggoner", HashMap::new());
    details.add_bad_request_violation("id", "`1` is not an execution's id: it is not a UUID");
    let message = "`id` cannot be taken: `1` is not an execution's id: it is not a UUID";
    let refusal = Status::with_error_details(Code::InvalidArgument, message, details);
    insta::assert_snapshot!(refused(refusal, &["executions", "cancel", "1"]).await, @"
    error: `id` cannot be taken: `1` is not an execution's id: it is not a UUID
    exit 3
    ");
}

#[tokio::test]
async fn a_hint_goes_on_with_the_same_manager() {
    let refusal = reason(Code::AlreadyExists, "the plugin is there already", "PLUGIN_EXISTS");
    let line = ["--data-dir", "/x y", "--tenant", "t", "plugins", "delete", "1"];
    insta::assert_snapshot!(refused(refusal, &line).await, @"
    error: the plugin is there already
     hint: `wag --data-dir '/x y' --tenant t plugins list` shows it
    exit 3
    ");
}

#[tokio::test]
async fn what_is_not_there_has_an_exit_code_of_its_own() {
    let line = ["plugins", "get", "9"];
    insta::assert_snapshot!(wag(Fake::default(), &line).await.err, @"error: there is no plugin `9`");
    assert_eq!(wag(Fake::default(), &line).await.exit, 4);
}

#[tokio::test]
async fn every_code_has_its_exit() {
    for (code, exit) in [
        (Code::NotFound, 4),
        (Code::InvalidArgument, 3),
        (Code::FailedPrecondition, 3),
        (Code::AlreadyExists, 3),
        (Code::PermissionDenied, 3),
        (Code::Unauthenticated, 3),
        (Code::ResourceExhausted, 3),
        (Code::Unimplemented, 3),
        (Code::DataLoss, 3),
        (Code::DeadlineExceeded, 69),
        (Code::Internal, 70),
        (Code::Unknown, 70),
    ] {
        let said = wag(Fake::refusing(Status::new(code, "")), &["plugins", "delete", "1"]).await;
        assert_eq!(said.exit, exit, "{code:?}: {}", said.err);
        assert!(said.err.starts_with("error: "), "{}", said.err);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_manager_is_asked_again_and_then_given_up() {
    let refusal = Status::unavailable("the manager starts");
    insta::assert_snapshot!(refused(refusal, &["plugins", "delete", "1"]).await, @"
    error: the manager starts
    exit 69
    ");
}
