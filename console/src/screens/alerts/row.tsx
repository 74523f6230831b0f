import type { Alert } from "../../api/types";
import { short, since } from "../../format/time";
import { to } from "../../router";
import { t } from "../../text";
import { memo } from "../../ui/memo";
import { Severity, State, Time } from "../../ui/parts";
import { ActionBar } from "./composer";
import { afterInList } from "./selection";
import { isOver } from "./work";

interface Props {
  alert: Alert;
  at: number;
  isCursor: boolean;
  isSelected: boolean;
  /** The minute, so that ages grow. */
  minute: number;
  /** Texts change with it. */
  language: string;
  onPick: (id: string, range: boolean) => void;
}

/** One alert: 32 px in a list, a card on a phone. */
export const Row = memo<Props>(({ alert, at, isCursor, isSelected, minute, onPick }) => {
  const said = t().inbox;
  const over = isOver(alert);
  return (
    <div
      role="row"
      class={`row${isCursor ? " is-cursor" : ""}${isSelected ? " is-selected" : ""}${over ? " is-over" : ""}`}
      data-id={alert.alert_id}
      aria-rowindex={at + 2}
      aria-selected={isSelected}
      tabIndex={isCursor ? 0 : -1}
    >
      <span role="gridcell" class="cell pick">
        <label>
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={`${said.columns.pick} ${alert.title}`}
            checked={isSelected}
            onClick={(event) => {
              event.stopPropagation();
              onPick(alert.alert_id, event.shiftKey);
            }}
          />
        </label>
      </span>
      <span role="gridcell" class="cell severity-cell">
        <Severity of={alert.severity} />
      </span>
      <span role="gridcell" class="cell state-cell">
        <State of={alert.state} />
      </span>
      <span role="gridcell" class="cell title-cell">
        {alert.title}
      </span>
      <span role="gridcell" class="cell summary-cell">
        <a href={to("alerts", alert.alert_id)} tabIndex={-1} title={alert.summary}>
          {alert.summary}
        </a>
        {alert.escalation > 0 && !over && <em class="tag is-late">{said.escalated(alert.escalation)}</em>}
        {alert.inquiry?.stage === "draft" && !over && <em class="tag">{said.draft}</em>}
        {alert.inquiry?.stage === "sent" && <em class="tag">{said.asked}</em>}
      </span>
      <span role="gridcell" class="cell findings-cell figure">
        {alert.findings}
      </span>
      <span role="gridcell" class="cell last-cell figure">
        <Time at={alert.last_at} text={short(alert.last_at)} />
      </span>
      <span role="gridcell" class="cell age-cell figure">
        {over ? (
          <Time at={alert.ended_at} text={short(alert.ended_at)} />
        ) : (
          <span title={alert.opened_at}>{since(alert.acknowledged_at ?? alert.opened_at, minute)}</span>
        )}
      </span>
      <span role="gridcell" class="cell owner-cell">
        {alert.owner ?? <span class="faint">{t().empty}</span>}
      </span>
      <span role="gridcell" class="cell actions-cell">
        {isCursor && <ActionBar alerts={[alert]} done={afterInList} small />}
      </span>
    </div>
  );
});
