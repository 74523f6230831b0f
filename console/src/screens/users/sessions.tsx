import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import type { Session, SessionList } from "../../api/types";
import { t } from "../../text";
import { Empty, Failed, Loading, Time } from "../../ui/parts";
import { Sure } from "../../ui/sure";
import { type Column, Table } from "../../ui/table";
import { mayManage } from "./index";

/** Who is logged in now, and from where. */
export function Sessions() {
  const said = t().users;
  const { data, error, again } = useLoad("sessions", (stop) => ask<SessionList>("/sessions", {}, { stop }));
  const columns: Column<Session>[] = [
    { name: "user", title: said.name, show: (one) => <strong>{one.user}</strong> },
    { name: "place", title: said.place, show: (one) => one.place },
    { name: "began", title: said.began, show: (one) => <Time at={one.began_at} /> },
    { name: "seen", title: said.seen, show: (one) => <Time at={one.seen_at} /> },
    { name: "until", title: said.idleUntil, show: (one) => <Time at={one.idle_until} /> },
    {
      name: "tools",
      title: t().act.bar,
      show: (one) =>
        mayManage() && (
          <Sure ask={said.expel} act={() => send("DELETE", `/sessions/${encodeURIComponent(one.id)}`).then(again)} />
        ),
    },
  ];
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading />;
  if (data.sessions.length === 0) return <Empty title={said.sessionsNone} />;
  return <Table label={said.tabs.sessions} columns={columns} rows={data.sessions} id={(one) => one.id} />;
}
