import { ask, at } from "../api/client";
import { useLoad } from "../api/load";
import { session } from "../api/session";
import type { MonthReport, ReportLine, ServiceReport, StepTime } from "../api/types";
import { count } from "../format/money";
import { go, query, to, withParams } from "../router";
import { t, word } from "../text";
import { Empty, Facts, Failed, Heading, Loading, Money, Panel } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { ProposeException } from "./rules/exception";

/** The month before this one: the one that is reported on. */
function lastMonth(): string {
  const now = new Date();
  const first = new Date(Date.UTC(now.getFullYear(), now.getMonth() - 1, 1));
  return first.toISOString().slice(0, 7);
}

const share = (part: number | null | undefined) =>
  part === null || part === undefined ? t().empty : `${(part * 100).toFixed(1)}%`;

/** A month of cases in numbers, what is late now, and the register of cases. */
export function Reports() {
  const said = t().reports;
  const month = query.value.get("month") ?? lastMonth();
  const { data, error, again } = useLoad(`month ${month}`, (stop) =>
    ask<MonthReport>("/reports/month", { month }, { stop }),
  );
  return (
    <div class="report">
      <Heading title={said.title} lead={month}>
        <label class="inline">
          <span>{said.month}</span>
          <input
            type="month"
            value={month}
            onChange={(event) => go(withParams({ month: event.currentTarget.value }), { replace: true })}
          />
        </label>
        {session.may("alerts.export") && (
          <>
            <a class="button" href={at("/api/v1/reports/month.xlsx", { month })} download>
              {said.workbook}
            </a>
            <a class="button" href={`/api/v1/alerts/register.xlsx`} download>
              {said.register}
            </a>
          </>
        )}
        <button type="button" class="button" onClick={() => print()}>
          {t().inbox.print}
        </button>
      </Heading>
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading rows={12} />}
      {data && <Month of={data} />}
      <Service />
    </div>
  );
}

function Month({ of }: { of: MonthReport }) {
  const said = t().reports;
  const { total, times } = of;
  return (
    <>
      <Panel title={said.total}>
        <Facts
          of={[
            [said.opened, count(total.opened)],
            [said.amount, <Money of={total.amount} />],
            [said.ended, count(total.ended)],
            [said.closed, count(total.closed)],
            [said.dismissed, count(total.dismissed)],
            [said.precision, share(total.precision)],
            [said.returned, <Money of={total.returned} />],
            [said.left, count(of.left)],
            ...steps(times),
          ]}
        />
      </Panel>
      {of.rules.length === 0 && of.outcomes.length === 0 ? (
        <Panel title={said.rules}>
          <Empty title={said.nothing} />
        </Panel>
      ) : (
        <>
          {of.outcomes.length > 0 && (
            <Panel title={said.outcomes}>
              <Table
                label={said.outcomes}
                columns={[
                  {
                    name: "outcome",
                    title: said.outcome,
                    show: (one) => (one.outcome ? word(t().outcome, one.outcome) : said.noOutcome),
                  },
                  { name: "cases", title: said.cases, isFigure: true, show: (one) => count(one.cases) },
                  {
                    name: "amount",
                    title: said.outcomeAmount,
                    isFigure: true,
                    show: (one) => <Money of={one.amount} />,
                  },
                ]}
                rows={of.outcomes}
                id={(one) => one.outcome ?? ""}
              />
            </Panel>
          )}
          <Lines title={said.rules} head={said.rule} of={of.rules} address={(one) => to("rules", one.value)} />
          <Lines title={said.units} head={said.unit} of={of.units} address={(one) => to("units", one.value)} />
        </>
      )}
    </>
  );
}

/** So many hours, as people say it. */
const length = (hours: number) =>
  hours < 1 ? t().reports.minutes(Math.round(hours * 60)) : t().reports.hours(Math.round(hours * 10) / 10);

function steps(times: {
  acknowledge?: StepTime | null;
  answer?: StepTime | null;
  close?: StepTime | null;
}): [string, string][] {
  const said = t().reports;
  const told = (step: StepTime | null | undefined) =>
    step ? said.took(length(step.median_hours), length(step.most_hours), count(step.count)) : t().empty;
  return [
    [said.toAcknowledge, told(times.acknowledge)],
    [said.toAnswer, told(times.answer)],
    [said.toClose, told(times.close)],
  ];
}

function Lines({
  title,
  head,
  of,
  address,
}: {
  title: string;
  head: string;
  of: ReportLine[];
  address: (one: ReportLine) => string;
}) {
  const said = t().reports;
  const columns: Column<ReportLine>[] = [
    {
      name: "value",
      title: head,
      wraps: true,
      show: (one) => (one.value ? <a href={address(one)}>{one.title ?? one.value}</a> : t().empty),
    },
    { name: "opened", title: said.opened, isFigure: true, show: (one) => count(one.opened) },
    { name: "amount", title: said.amount, isFigure: true, show: (one) => <Money of={one.amount} /> },
    { name: "ended", title: said.ended, isFigure: true, show: (one) => count(one.ended) },
    { name: "closed", title: said.closed, isFigure: true, show: (one) => count(one.closed) },
    { name: "dismissed", title: said.dismissed, isFigure: true, show: (one) => count(one.dismissed) },
    { name: "precision", title: said.precision, isFigure: true, show: (one) => share(one.precision) },
    { name: "returned", title: said.returned, isFigure: true, show: (one) => <Money of={one.returned} /> },
  ];
  return (
    <Panel title={title}>
      {of.length === 0 ? (
        <Empty title={said.none} />
      ) : (
        <Table label={title} columns={columns} rows={of} id={(one) => one.value} />
      )}
    </Panel>
  );
}

/** What is late now and whose it is, and which units come again. */
function Service() {
  const said = t().reports;
  const { data, error, again } = useLoad("service", (stop) => ask<ServiceReport>("/reports/service", {}, { stop }));
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={4} />;
  const late = (title: string, name: string, rows: ServiceReport["units"], address: (value: string) => string) => (
    <Panel title={title}>
      {rows.length === 0 ? (
        <Empty title={said.nothingLate} />
      ) : (
        <Table
          label={title}
          columns={[
            {
              name: "value",
              title: name,
              show: (one) => <Named of={one.value || said.nobody} name={one.name} at={address(one.value)} />,
            },
            { name: "past_due", title: said.pastDue, isFigure: true, show: (one) => count(one.past_due) },
            { name: "unanswered", title: said.unanswered, isFigure: true, show: (one) => count(one.unanswered) },
          ]}
          rows={rows}
          id={(one) => one.value}
        />
      )}
    </Panel>
  );
  return (
    <>
      <Panel title={said.service} lead={said.serviceLead}>
        <Facts of={steps(data.times)} />
      </Panel>
      {late(said.lateUnits, said.unit, data.units, (unit) => at("/alerts", { unit, past_due: true }))}
      {late(said.lateOfficers, said.officer, data.officers, (owner) =>
        at("/alerts", { owner: owner || "-", past_due: true }),
      )}
      <Panel title={said.exceptions} lead={said.exceptionsLead}>
        {data.exceptions.length === 0 ? (
          <Empty title={said.none} />
        ) : (
          <Table
            label={said.exceptions}
            columns={[
              { name: "rule", title: said.rule, show: (one) => <a href={to("rules", one.rule)}>{one.rule}</a> },
              {
                name: "unit",
                title: said.unit,
                show: (one) => <Named of={one.unit} name={one.name} at={to("units", one.unit)} />,
              },
              {
                name: "dismissed",
                title: said.dismissed,
                isFigure: true,
                show: (one) => (
                  <a href={at("/alerts", { state: "dismissed", rule: one.rule, unit: one.unit })}>
                    {said.allDismissed(count(one.dismissed))}
                  </a>
                ),
              },
              {
                name: "propose",
                title: t().exception.column,
                wraps: true,
                show: (one) => <ProposeException of={one} />,
              },
            ]}
            rows={data.exceptions}
            id={(one) => `${one.rule} ${one.unit}`}
          />
        )}
      </Panel>
      <Panel title={said.repeated} lead={said.repeatedLead}>
        {data.repeated.length === 0 ? (
          <Empty title={said.none} />
        ) : (
          <Table
            label={said.repeated}
            columns={[
              {
                name: "unit",
                title: said.unit,
                show: (one) => <Named of={one.unit} name={one.name} at={to("units", one.unit)} />,
              },
              { name: "confirmed", title: said.confirmed, isFigure: true, show: (one) => count(one.confirmed) },
              { name: "amount", title: said.amount, isFigure: true, show: (one) => <Money of={one.amount} /> },
            ]}
            rows={data.repeated}
            id={(one) => one.unit}
          />
        )}
      </Panel>
    </>
  );
}

/** A unit by its name, its code beside it. */
function Named({ of, name, at }: { of: string; name: string | null | undefined; at: string }) {
  return (
    <a href={at}>
      {name ?? of}
      {name && <small class="faint"> {of}</small>}
    </a>
  );
}
