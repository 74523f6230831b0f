import { useState } from "preact/hooks";
import { send } from "../api/client";
import { session } from "../api/session";
import { t } from "../text";

interface Offer {
  secret: string;
  url: string;
}

/** Who needs a second factor and has none sets it up before anything else: the password once more, then the first code. */
export function SecondFactor() {
  const said = t().signIn;
  const [offer, setOffer] = useState<Offer | null>(null);
  const [typed, setTyped] = useState("");
  const [trouble, setTrouble] = useState("");
  const go = async () => {
    setTrouble("");
    try {
      if (offer === null) setOffer(await send<Offer>("POST", "/session/totp", { password: typed }));
      else {
        await send("POST", "/session/totp/confirm", { totp: typed.trim() });
        await session.again();
      }
      setTyped("");
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <main class="sign-in">
      <h1>{said.factor}</h1>
      <p class="faint">{said.factorLead}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void go();
        }}
      >
        {offer && (
          <div class="made">
            <p>{said.factorSecret}</p>
            <code class="breaks">{offer.secret}</code>
            <p>
              <a href={offer.url} target="_self">
                {said.factorLink}
              </a>
            </p>
          </div>
        )}
        {offer ? (
          <label key="code">
            <span>{said.code}</span>
            <input
              value={typed}
              inputMode="numeric"
              autoComplete="one-time-code"
              required
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
        ) : (
          <label key="password">
            <span>{said.password}</span>
            <input
              type="password"
              value={typed}
              autoComplete="current-password"
              required
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
        )}
        {trouble && (
          <p class="trouble" role="alert">
            {trouble}
          </p>
        )}
        <button type="submit" class="button is-main">
          {offer ? said.factorConfirm : said.factorBegin}
        </button>
        <button type="button" class="plain" onClick={() => void session.signOut()}>
          {t().top.signOut}
        </button>
      </form>
    </main>
  );
}
