import { useState } from "preact/hooks";
import { ask, send } from "../api/client";
import { useLoad } from "../api/load";
import type { Notification, NoticePage } from "../api/types";
import { query, to, withParams } from "../router";
import { t, word } from "../text";
import { Empty, Failed, Heading, Loading, Time } from "../ui/parts";
import { type Column, Table } from "../ui/table";

const TABS = ["", "pending", "parked", "sent"] as const;

/** Who was told of what, what waits, and what a receiver refused for good. */
export function Notifications() {
  const said = t().notifications;
  const state = query.value.get("state") ?? "";
  const { data, error, again } = useLoad(`notifications ${state}`, (stop) =>
    ask<NoticePage>("/notifications", { state, limit: 200 }, { stop }),
  );
  const columns: Column<Notification>[] = [
    {
      name: "state",
      title: said.columns.state,
      show: (one) => <span class={one.state === "parked" ? "trouble" : ""}>{word(said.state, one.state)}</span>,
    },
    { name: "made", title: said.columns.made, show: (one) => <Time at={one.created_at} /> },
    { name: "reason", title: said.columns.reason, show: (one) => word(said.reason, one.reason) },
    { name: "sink", title: said.columns.sink, show: (one) => one.sink },
    { name: "recipient", title: said.columns.recipient, show: (one) => one.recipient ?? t().empty },
    {
      name: "alert",
      title: said.columns.alert,
      show: (one) =>
        one.alert_id ? (
          <>
            <a href={to("alerts", one.alert_id)}>
              <code>{one.alert_id}</code>
            </a>
            {one.alerts > 1 && <small class="faint"> {said.andMore(one.alerts)}</small>}
          </>
        ) : (
          t().empty
        ),
    },
    { name: "attempts", title: said.columns.attempts, isFigure: true, show: (one) => one.attempts },
    {
      name: "next",
      title: said.columns.next,
      isFigure: true,
      show: (one) => <Time at={one.next_at ?? one.ended_at} />,
    },
    { name: "error", title: said.columns.error, wraps: true, show: (one) => one.error ?? "" },
    { name: "tools", title: t().act.bar, show: (one) => one.state === "parked" && <Retry id={one.id} again={again} /> },
  ];
  return (
    <div>
      <Heading title={said.title} />
      <nav class="tabs" aria-label={said.columns.state}>
        {TABS.map((tab) => (
          <a key={tab} href={withParams({ state: tab })} aria-current={state === tab ? "page" : undefined}>
            {tab === "" ? said.all : word(said.state, tab)}
          </a>
        ))}
      </nav>
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading />}
      {data && data.notifications.length === 0 && <Empty title={said.empty} />}
      {data && data.notifications.length > 0 && (
        <Table label={said.title} columns={columns} rows={data.notifications} id={(one) => one.id} />
      )}
    </div>
  );
}

function Retry({ id, again }: { id: string; again: () => void }) {
  const [trouble, setTrouble] = useState("");
  const retry = async () => {
    try {
      await send("POST", `/notifications/${encodeURIComponent(id)}/retry`, {});
      again();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <>
      <button type="button" class="button" onClick={() => void retry()}>
        {t().notifications.retry}
      </button>
      {trouble && (
        <span class="trouble" role="alert">
          {trouble}
        </span>
      )}
    </>
  );
}
