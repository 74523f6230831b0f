import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { Payee, PayeePage } from "../../api/types";
import { count } from "../../format/money";
import { stamp } from "../../format/time";
import { go, query, to, withParams } from "../../router";
import { t, word } from "../../text";
import { Empty, Failed, Heading, Loading, Money, Time, moneyUnit } from "../../ui/parts";
import { Whole } from "../../ui/whole";

const FIELDS = ["name", "account", "unit", "from", "to"] as const;
const SORTS = ["-paid", "-payments", "-units", "-last"] as const;
const PAGE = 100;

/** Who was paid: how much, how often, by how many units. */
export function Payees() {
  const said = t().payees;
  const now = query.value;
  const sort = now.get("sort") ?? "-paid";
  const after = Number(now.get("after") ?? 0) || 0;
  const asked = {
    ...Object.fromEntries(FIELDS.map((name) => [name, now.get(name)])),
    sort,
    after: after || null,
    limit: PAGE,
  };
  const { data, error, again } = useLoad(`payees ${JSON.stringify(asked)}`, (stop) =>
    ask<PayeePage>("/payees", asked, { stop }),
  );
  const head = (name: (typeof SORTS)[number], title: string) => (
    <th scope="col" class="figure" aria-sort={sort === name ? "descending" : undefined}>
      <a
        href={withParams({ sort: name === "-paid" ? null : name, after: null })}
        class={sort === name ? "is-sorted" : ""}
      >
        {title}
        <span aria-hidden="true">{sort === name ? " ↓" : ""}</span>
      </a>
    </th>
  );
  return (
    <div>
      <Heading title={said.title} lead={data ? said.total(data.total) : said.lead}>
        <Whole />
      </Heading>
      <Filters />
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading rows={12} />}
      {data && data.payees.length === 0 && (
        <Empty title={FIELDS.some((name) => now.get(name)) ? said.emptyFiltered : said.empty} />
      )}
      {data && data.payees.length > 0 && (
        <div class="table-place" tabIndex={0} role="group" aria-label={said.title}>
          <table class="table is-cards">
            <thead>
              <tr>
                <th scope="col">{said.payee}</th>
                <th scope="col">{said.account}</th>
                <th scope="col">{said.owner}</th>
                {head("-paid", `${said.paid}（${moneyUnit()}）`)}
                {head("-payments", said.payments)}
                {head("-units", said.units)}
                {head("-last", said.last)}
              </tr>
            </thead>
            <tbody>
              {data.payees.map((payee) => (
                <Row key={payee.id} of={payee} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {data && (
        <div class="foot">
          <span class="faint">
            {said.searched(stamp(data.searched_from).slice(0, 10), data.complete)}
            {data.left_out > 0 && ` ${said.leftOut(data.left_out)}`}
          </span>{" "}
          {after > 0 && (
            <a class="button" href={withParams({ after: null })}>
              {said.first}
            </a>
          )}{" "}
          {data.next != null && (
            <a class="button" href={withParams({ after: String(data.next) })}>
              {said.more}
            </a>
          )}
        </div>
      )}
    </div>
  );
}

function Row({ of }: { of: Payee }) {
  const said = t().payees;
  const [first, ...others] = of.names;
  return (
    <tr>
      <td data-name={said.payee} class="wrap is-first">
        <a href={to("payees", of.id)}>{first ?? said.nameless}</a>
        {others.length > 0 && <small class="faint"> {said.otherNames(others.length)}</small>}
      </td>
      <td data-name={said.account}>{of.account ? <code>{of.account}</code> : t().empty}</td>
      <td data-name={said.owner}>{of.owner ? word(said.owners, of.owner) : t().empty}</td>
      <td data-name={said.paid} class="figure is-first">
        <Money of={of.paid} />
      </td>
      <td data-name={said.payments} class="figure">
        {count(of.payments)}
      </td>
      <td data-name={said.units} class="figure">
        {count(of.units)}
      </td>
      <td data-name={said.last} class="figure">
        <Time at={of.last_at} text={stamp(of.last_at).slice(0, 10)} />
      </td>
    </tr>
  );
}

function Filters() {
  const said = t().payees;
  const inbox = t().inbox;
  const now = query.value;
  const names: Record<(typeof FIELDS)[number], string> = {
    name: said.name,
    account: said.tail,
    unit: t().payments.unit,
    from: inbox.from,
    to: inbox.to,
  };
  return (
    <form
      class="filters filter-details"
      role="search"
      aria-label={inbox.filters}
      onSubmit={(event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget);
        const values = FIELDS.map((name) => [name, String(given.get(name) ?? "").trim()]);
        go(withParams({ ...Object.fromEntries(values), after: null }), { replace: true });
      }}
    >
      {FIELDS.map((name) => (
        <label key={name}>
          <span>{names[name]}</span>
          {name === "from" || name === "to" ? (
            <input key={now.get(name) ?? ""} name={name} type="date" defaultValue={now.get(name) ?? ""} />
          ) : (
            <input key={now.get(name) ?? ""} name={name} type="text" defaultValue={now.get(name) ?? ""} />
          )}
        </label>
      ))}
      <button type="submit" class="button is-main">
        {inbox.search}
      </button>
    </form>
  );
}
