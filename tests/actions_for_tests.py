"""The actions many tests plan: issues that come in and are triaged, commits that are reviewed and merged."""

from __future__ import annotations

from typing import Any

from dynflow_mp import Action

# -- issues ------------------------------------------------------------------------------------------


class IncomingIssues(Action):
    """Every issue of a list, at the same time; a summary at the end."""

    def plan(self, issues: list[Any]) -> None:
        for issue in issues:
            self.plan_action(IncomingIssue, issue)
        self.plan_self()

    def finalize(self) -> None:
        self.output["summary"] = "all done"


class IncomingIssue(Action):
    """One issue; it plans what has to happen and does nothing itself."""

    def plan(self, issue: Any) -> None:
        if issue == "fail":
            raise ValueError("this issue cannot be planned")
        self.plan_self(issue=issue)
        self.plan_action(Triage, issue)


class Triage(Action):
    """Finds out whose an issue is; the text ``trolling`` makes its run fail, ``late`` its finalize."""

    def plan(self, issue: dict[str, Any]) -> None:
        triage = self.plan_self(issue)
        self.plan_action(
            UpdateIssue,
            author=self.input.get("author"),
            text=self.input.get("text"),
            assignee=triage.output["classification"]["assignee"],
            severity=triage.output["classification"]["severity"],
        )

    def run(self) -> None:
        if "trolling" in self.input["text"]:
            self.error("trolling detected")
        self.output["classification"] = {"assignee": "John Doe", "severity": "medium"}

    def finalize(self) -> None:
        if "late" in self.input["text"]:
            raise RuntimeError("too late")


class UpdateIssue(Action):
    """Writes the classification down."""

    def run(self) -> None:
        pass


class NotifyAssignee(Action):
    """Is planned wherever Triage is."""

    subscribe = Triage

    def plan(self, *args: Any) -> None:
        assert self.triggering is not None
        self.plan_self(triage=self.triggering.output)

    def run(self) -> None:
        pass

    def finalize(self) -> None:
        pass


ISSUES: list[dict[str, Any]] = [
    {"author": "Peter Smith", "text": "Failing test"},
    {"author": "John Doe", "text": "Internal server error"},
]

# -- commits -----------------------------------------------------------------------------------------


class Commit(Action):
    """Checks and two reviews at the same time, then the merge – ordered by what the merge needs."""

    def plan(self, sha: str) -> None:
        ci = self.plan_action(Ci, commit=sha)
        first = self.plan_action(Review, commit=sha, reviewer="Morfeus", accept=True)
        second = self.plan_action(Review, commit=sha, reviewer="Neo", accept=True)
        self.plan_action(
            Merge,
            commit=sha,
            ci_result=ci.output["passed"],
            review_results=[first.output["passed"], second.output["passed"]],
        )


class FastCommit(Action):
    """Check and review at the same time, then the merge – ordered by words, not by data."""

    def plan(self, commit: dict[str, Any]) -> None:
        with self.sequence():
            with self.concurrence():
                self.plan_action(Ci, commit=commit)
                self.plan_action(Review, commit=commit, reviewer="Morfeus", accept=True)
            self.plan_action(Merge, commit=commit, ci_result=True, review_results=[True])


class Ci(Action):
    """Passes."""

    def run(self) -> None:
        self.output["passed"] = True


class Review(Action):
    """Passes if it is told to accept."""

    def run(self) -> None:
        self.output["passed"] = self.input["accept"]


class Merge(Action):
    """Passes if the checks and all reviews did."""

    def run(self) -> None:
        self.output["passed"] = self.input["ci_result"] and all(self.input["review_results"])


# -- actions that do nothing -------------------------------------------------------------------------


class Dummy(Action):
    """Has neither run nor finalize."""


class DummyWithFinalize(Action):
    """Has finalize only."""

    def finalize(self) -> None:
        self.output["finalized"] = True


class DummyTrigger(Action):
    """Has no run, but two subscribers."""


class DummyAnotherTrigger(Action):
    """The other class that one of them subscribes to."""


class DummySubscribe(Action):
    """Subscribes to one class."""

    subscribe = DummyTrigger

    def run(self) -> None:
        pass


class DummyMultiSubscribe(Action):
    """Subscribes to two classes, one of them by name."""

    subscribe = ("actions_for_tests.DummyTrigger", DummyAnotherTrigger)

    def run(self) -> None:
        pass


class Labelled(Action):
    """Says itself what its plans are called."""

    def label(self) -> str:
        return "dummy_action"


class Weighted(Action):
    """Its run counts four times, its finalize five times."""

    run_progress_weight = 4
    finalize_progress_weight = 5

    def run(self) -> None:
        pass

    def finalize(self) -> None:
        pass
