import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { Alert, Worth } from "../../api/types";
import { count } from "../../format/money";
import { t } from "../../text";
import { Facts, Panel } from "../../ui/parts";
import { ProposeException } from "../rules/exception";

/** Why an alert stands where it does when the most worth stands first: the five numbers that it is made of. */
export function Worthwhile({ alert }: { alert: Alert }) {
  const { data } = useLoad(`worth ${alert.alert_id} ${alert.version}`, (stop) =>
    ask<Worth>(`/alerts/${encodeURIComponent(alert.alert_id)}/worth`, {}, { stop }),
  );
  if (!data) return null;
  const ofUnit = data.of_unit;
  return (
    <>
      {ofUnit?.suggests_exception && (
        <Panel title={t().exception.title(count(ofUnit.dismissed))} class="exception">
          <ProposeException of={{ rule: alert.rule_id, unit: ofUnit.unit, dismissed: ofUnit.dismissed }} />
        </Panel>
      )}
      {ofUnit && !ofUnit.suggests_exception && !ofUnit.excepted_until && session.may("rules.propose") && (
        <ProposeException of={{ rule: alert.rule_id, unit: ofUnit.unit, dismissed: ofUnit.dismissed }} />
      )}
      {ofUnit?.excepted_until && <p class="faint">{t().exception.holds(ofUnit.unit, ofUnit.excepted_until)}</p>}
      <Numbers of={data} />
    </>
  );
}

function Numbers({ of: data }: { of: Worth }) {
  const said = t().alert;
  return (
    <details class="panel worth">
      <summary>
        {said.worth} <strong class="figure">{count(data.worth)}</strong>
      </summary>
      <p class="faint">{said.worthFormula}</p>
      <Facts
        of={[
          [said.worthSeverity, data.severity],
          [said.worthAmount, data.amount],
          [said.worthRepeated, data.repeated],
          [said.worthAgreeing, [data.agreeing, ...data.other_rules].join(" · ")],
          [
            said.worthPrecision,
            said.worthVerdicts(
              data.precision,
              [count(data.all_confirmed), count(data.all_dismissed)],
              pair(data),
              data.of_unit ? pair(data.of_unit) : null,
            ),
          ],
        ]}
      />
    </details>
  );
}

function pair(of: { confirmed: number; dismissed: number }): [string, string] {
  return [count(of.confirmed), count(of.dismissed)];
}
