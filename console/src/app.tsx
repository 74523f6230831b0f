// The shell: who is here, where they are, how current what they see is, and whether the daemon is there.
import { useEffect, useState } from "preact/hooks";
import { ask, epoch, link, probe } from "./api/client";
import { useLoad } from "./api/load";
import type { ApprovalPage } from "./api/types";
import { zone, stamp } from "./format/time";
import { useKeys } from "./keys";
import { live } from "./live";
import { go, path } from "./router";
import { NAVIGATION, screenOf } from "./screens";
import { SecondFactor } from "./screens/second-factor";
import { SignIn } from "./screens/sign-in";
import { session } from "./api/session";
import { settings, type Theme } from "./settings";
import { t } from "./text";
import { Help, helpIsOpen } from "./ui/help";
import { Icon } from "./ui/icon";
import { Tour } from "./ui/tour";

export function App() {
  useKeys({
    "g i": () => go("/alerts"),
    "g t": () => go("/"),
    "g b": () => go("/budget"),
    "?": () => (helpIsOpen.value = true),
  });
  useEffect(() => session.start(), []);
  if (session.must) return <SignIn />;
  if (session.lacksFactor) return <SecondFactor />;
  // Nothing is asked before it is known who asks.
  return session.own === null && link.value.up ? null : <Shell />;
}

function Shell() {
  useEffect(() => live.start(), []);
  // Who may not see the first screen begins with the first that they may; in a demo it is where everybody becomes somebody else.
  const isDemo = (session.own?.offers ?? []).length > 0;
  const first = (!isDemo && NAVIGATION.find(({ needs }) => session.may(needs))?.to) || "/";
  useEffect(() => {
    if (path.value === "/") go(first, { replace: true });
  }, [first, path.value]);
  const screen = screenOf(path.value);
  const title = `${screen.title()} · ${t().product}`;
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <>
      <a class="skip" href="#content">
        {t().skip}
      </a>
      <TopBar />
      <Navigation />
      <main id="content" tabIndex={-1}>
        <Banner />
        <screen.View key={path.value} id={screen.id} />
      </main>
      <Help />
      <Tour />
    </>
  );
}

function TopBar() {
  const said = t().top;
  const at = live.status.value?.last_event_at ?? null;
  return (
    <header class="top">
      <a class="brand" href="/" aria-label={t().product}>
        <Icon of="brand" />
        <span>{t().product}</span>
      </a>
      <span class="as-of">
        {at ? (
          <>
            <span class="wide-only">{said.asOf} </span>
            <time dateTime={at}>{stamp(at).slice(0, 16)}</time>
          </>
        ) : (
          live.status.value && said.asOfNone
        )}
        <small>{zone(at)}</small>
      </span>
      <div class="top-tools">
        <div class="segments" role="group" aria-label={said.unit}>
          {(["yuan", "wan"] as const).map((unit) => (
            <button
              key={unit}
              type="button"
              aria-pressed={settings.money.value === unit}
              onClick={() => (settings.money.value = unit)}
            >
              {said[unit]}
            </button>
          ))}
        </div>
        <button
          type="button"
          class="plain"
          lang={settings.language.value === "zh" ? "en" : "zh"}
          onClick={() => (settings.language.value = settings.language.value === "zh" ? "en" : "zh")}
        >
          {said.language}
        </button>
        <ThemeButton />
        <button
          type="button"
          class="plain icon-only wide-only"
          aria-label={said.help}
          title={`${said.help} ?`}
          onClick={() => (helpIsOpen.value = true)}
        >
          <Icon of="help" />
        </button>
        <Who />
      </div>
    </header>
  );
}

function ThemeButton() {
  const said = t().top;
  const order: Theme[] = ["auto", "light", "dark"];
  const now = settings.theme.value;
  const next = order[(order.indexOf(now) + 1) % order.length]!;
  const label = `${said.theme}: ${said.themes[now]}`;
  return (
    <button
      type="button"
      class="plain icon-only"
      aria-label={label}
      title={label}
      onClick={() => (settings.theme.value = next)}
    >
      <Icon of={now === "dark" ? "moon" : now === "light" ? "sun" : "auto"} />
    </button>
  );
}

function Who() {
  const { user } = session;
  if (!user) return settings.officer.value ? <span class="who">{settings.officer.value}</span> : null;
  return (
    <span class="who">
      {user}
      {session.canSignOut && (
        <button type="button" class="plain" onClick={() => void session.signOut()}>
          {t().top.signOut}
        </button>
      )}
    </span>
  );
}

function Navigation() {
  const [open, setOpen] = useState(false);
  const waits = useWaits();
  const here = path.value;
  useEffect(() => setOpen(false), [here]);
  const isBelow = (to: string) => here === to || here.startsWith(`${to}/`);
  const isHere = (to: string) => (to === "/" ? here === "/" : isBelow(to) || (to === "/budget" && isBelow("/units")));
  return (
    <nav class={`nav${open ? " is-open" : ""}`} aria-label={t().nav.label}>
      <ul>
        {NAVIGATION.filter(({ needs }) => session.may(needs)).map(({ to, name, icon, first }) => (
          <li key={to} class={first ? "on-phone" : "beyond-phone"}>
            <a href={to} aria-current={isHere(to) ? "page" : undefined}>
              <Icon of={icon} />
              <span>{t().nav[name]}</span>
              {name === "approvals" && <Waits n={waits} />}
            </a>
          </li>
        ))}
        {session.user && (
          <li class="beyond-phone nav-who">
            <span>{session.user}</span>
            {session.canSignOut && (
              <button type="button" class="plain" onClick={() => void session.signOut()}>
                {t().top.signOut}
              </button>
            )}
          </li>
        )}
        <li class="nav-more">
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            <Icon of="more" />
            <span>{t().nav.more}</span>
            {!open && <Waits n={waits} />}
          </button>
        </li>
      </ul>
    </nav>
  );
}

/** How many matters wait for whoever is here. Where nobody signs in, nobody is told apart, and all that wait are meant. */
function useWaits(): number {
  const may = session.may("approvals.judge");
  const turn = live.approvals.value + live.resets.value;
  const { data } = useLoad(
    may ? "waits" : null,
    (stop) => {
      const whose = session.user === null ? { state: "waiting" } : { for_me: true };
      return ask<ApprovalPage>("/approvals", { ...whose, totals: true, limit: 1 }, { stop, isBackground: true });
    },
    turn,
  );
  return data?.total ?? 0;
}

function Waits({ n }: { n: number }) {
  if (n === 0) return null;
  return (
    <span class="nav-count figure" title={t().nav.waits(n)}>
      <span aria-hidden="true">{n > 99 ? "99+" : n}</span>
      <span class="sr"> {t().nav.waits(n)}</span>
    </span>
  );
}

function Banner() {
  const { up, nextTry, wasDown } = link.value;
  const [, tick] = useState(0);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (up) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(timer);
  }, [up]);
  const round = epoch.value;
  useEffect(() => {
    if (!up || !wasDown) return undefined;
    setShown(true);
    const timer = setTimeout(() => setShown(false), 4_000);
    return () => clearTimeout(timer);
  }, [up, round]);
  const said = t().link;
  return (
    <div role="status" class="banner-place">
      {session.own !== null && !session.own.auth && session.user === null && <p class="no-auth">{said.nobodyAsked}</p>}
      {!up && (
        <div class="banner is-down">
          <span>{said.down}</span>
          <span class="faint">{said.again(Math.max(0, Math.ceil((nextTry - Date.now()) / 1_000)))}</span>
          <button type="button" class="button" onClick={() => void probe()}>
            {said.now}
          </button>
        </div>
      )}
      {up && shown && <div class="banner is-back">{said.back}</div>}
    </div>
  );
}
