import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { Rule, RuleList } from "../../api/types";
import { count, percent } from "../../format/money";
import { go, query, to, withParams } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Empty, Failed, Heading, Loading, Severity } from "../../ui/parts";
import { Search } from "../../ui/search";
import { type Column, Table, sorted } from "../../ui/table";
import { SEVERITIES } from "../alerts/filter";

/** A text in the language that is set, or in the one there is. */
export const said = (text: { zh?: string | null; en?: string | null }): string =>
  (settings.language.value === "zh" ? (text.zh ?? text.en) : (text.en ?? text.zh)) ?? "";

/** The rules in force: what they find, and how often officers found them right. */
export function Rules() {
  const texts = t().rules;
  const names = texts.columns;
  const { data, error, again } = useLoad("rules", (stop) => ask<RuleList>("/rules", {}, { stop }));
  const find = (query.value.get("q") ?? "").trim().toLowerCase();
  const columns: Column<Rule>[] = [
    {
      name: "severity",
      title: names.severity,
      by: (rule) => SEVERITIES.indexOf(rule.severity as (typeof SEVERITIES)[number]),
      show: (rule) => <Severity of={rule.severity} />,
    },
    {
      name: "rule",
      title: names.rule,
      by: (rule) => said(rule.title),
      wraps: true,
      show: (rule) => (
        <a href={to("rules", rule.id)}>
          {said(rule.title)} <code>{rule.id}</code>
        </a>
      ),
    },
    { name: "mode", title: names.mode, by: (rule) => rule.mode, show: (rule) => word(texts.mode, rule.mode) },
    figure("findings", names.findings, (rule) => rule.findings),
    figure("excepted", names.excepted, (rule) => rule.excepted),
    {
      name: "verdicts",
      title: names.verdicts,
      isFigure: true,
      by: (rule) => rule.confirmed + rule.dismissed,
      show: (rule) => `${count(rule.confirmed)} / ${count(rule.dismissed)}`,
    },
    {
      name: "precision",
      title: names.precision,
      isFigure: true,
      by: (rule) => rule.precision ?? null,
      show: (rule) =>
        rule.precision === null || rule.precision === undefined ? (
          <span class="faint">{t().empty}</span>
        ) : (
          percent(rule.precision)
        ),
    },
    {
      name: "errors",
      title: names.errors,
      isFigure: true,
      by: (rule) => rule.errors,
      show: (rule) => <span class={rule.errors > 0 ? "trouble" : ""}>{count(rule.errors)}</span>,
    },
  ];
  const fits = (rule: Rule) =>
    find === "" ||
    [rule.id, rule.title.zh, rule.title.en, ...rule.tags].some((text) => text?.toLowerCase().includes(find));
  const rows = sorted((data?.rules ?? []).filter(fits), columns, "severity");
  return (
    <div>
      <Heading title={texts.title} lead={data && texts.count(data.rules.length)}>
        <Search
          label={texts.find}
          value={query.value.get("q") ?? ""}
          onChange={(q) => go(withParams({ q }), { replace: true })}
        />
      </Heading>
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading rows={12} />}
      {data && rows.length === 0 && <Empty title={texts.empty} />}
      {rows.length > 0 && (
        <Table label={texts.title} columns={columns} rows={rows} id={(rule) => rule.id} first="severity" />
      )}
      {rows.length > 0 && <p class="foot-note">{texts.since}</p>}
    </div>
  );
}

function figure(name: string, title: string, of: (rule: Rule) => number): Column<Rule> {
  return { name, title, isFigure: true, by: of, show: (rule) => count(of(rule)) };
}
