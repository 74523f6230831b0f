import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api/client";
import { session } from "../api/session";
import { settings } from "../settings";
import { t } from "../text";

/** Who is here: a name and a password. */
export function SignIn() {
  const said = t().signIn;
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const user = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const code = useRef<HTMLInputElement>(null);
  const [asksCode, setAsksCode] = useState(false);
  useLayoutEffect(() => user.current?.focus(), []);
  useLayoutEffect(() => code.current?.focus(), [asksCode]);
  const submit = async () => {
    setBusy(true);
    setTrouble("");
    try {
      const given = code.current?.value.trim();
      await session.signIn(user.current?.value.trim() ?? "", password.current?.value ?? "", given);
    } catch (error) {
      // The password was right, and a code is wanted beside it.
      if (error instanceof Problem && error.reason === "totp") {
        if (asksCode) setTrouble(error.message);
        setAsksCode(true);
        if (code.current) code.current.value = "";
        code.current?.focus();
        return;
      }
      setTrouble(error instanceof Problem ? error.message : t().link.down);
      if (password.current) password.current.value = "";
      password.current?.focus();
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <h1>{t().product}</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <label>
          <span>{said.user}</span>
          <input ref={user} name="user" autoComplete="username" autoCapitalize="off" spellcheck={false} required />
        </label>
        <label>
          <span>{said.password}</span>
          <input ref={password} name="password" type="password" autoComplete="current-password" required />
        </label>
        {asksCode && (
          <label>
            <span>{said.code}</span>
            <input
              ref={code}
              name="totp"
              inputMode="numeric"
              autoComplete="one-time-code"
              pattern="[0-9]{6}"
              maxLength={6}
              required
            />
          </label>
        )}
        {trouble && (
          <p class="trouble" role="alert">
            {trouble}
          </p>
        )}
        <button type="submit" class="button is-main" disabled={busy}>
          {said.submit}
        </button>
        {session.own?.single_sign_on && (
          <a class="button" href="/api/v1/session/oidc">
            {session.own.single_sign_on}
          </a>
        )}
        <button
          type="button"
          class="plain"
          lang={settings.language.value === "zh" ? "en" : "zh"}
          onClick={() => (settings.language.value = settings.language.value === "zh" ? "en" : "zh")}
        >
          {t().top.language}
        </button>
      </form>
    </main>
  );
}
