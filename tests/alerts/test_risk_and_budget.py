"""What readers are told of risk that adds up, and of a rule whose budget is spent."""

from __future__ import annotations

from correlator.alerts.ocsf import Json, Source, render
from correlator.alerts.text import RuleText
from correlator.event import make_event
from correlator.timeline.alert import Alert, Change
from correlator.timeline.risk import RISK

EVENT = make_event(1_767_587_407_228, "0" * 16, "access", identity_id="e1", credential="17", outcome="denied")


def rendered(alert: Alert, name: str) -> Json:
    rule = RuleText(alert.rule, name, "Several rules add up on one entity", level="high")
    return render(Change("create", alert, alert.uid), [EVENT], rule, None, Source("b", EVENT.time_ms))


def test_a_risk_alert_says_what_added_up() -> None:
    values = (("risk.score", 130), ("risk.of", "Denied burst (60); Door probing (70)"))
    alert = Alert(
        "u",
        RISK,
        "identity:e1",
        "high",
        EVENT.time_ms,
        EVENT.id,
        (EVENT.id,),
        values,
        count=2,
        repeat_count=1,
    )
    finding = rendered(alert, "risk")
    assert finding["message"] == "badge denied: risk of the day 130 from 3 rules (+1)"
    assert finding["risk_score"] == 100
    said = "Alerts of the day (UTC) add up to a risk of 130: Denied burst (60); Door probing (70)."
    assert said in finding["finding_info"]["desc"]
    assert "Also:" not in finding["finding_info"]["desc"]


def test_an_alert_beyond_the_budget_says_that_it_sums_up() -> None:
    alert = Alert(
        "u", "r", "identity:e1", "low", EVENT.time_ms, EVENT.id, (EVENT.id,), repeat_count=4, is_summary=True
    )
    finding = rendered(alert, "denied")
    said = "The rule's budget for this entity is spent: further matches join this alert. It happened 4 more"
    assert said in finding["finding_info"]["desc"]
    assert finding["unmapped"]["correlator"]["is_summary"] is True
