// What only a demo has: users that anybody can be by one click, and a tour.
import { useState } from "preact/hooks";
import { session } from "../api/session";
import { go } from "../router";
import { t, word } from "../text";
import { Panel } from "../ui/parts";
import { tourStep } from "../ui/tour";

/** Who one may be here; nothing outside of a demo. */
export function Demo() {
  const said = t().demo;
  const [trouble, setTrouble] = useState("");
  const offers = session.own?.offers ?? [];
  if (offers.length === 0) return null;
  const become = async (change: () => Promise<void>) => {
    setTrouble("");
    try {
      await change();
      go("/");
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <Panel
      title={said.title}
      lead={said.lead}
      aside={
        <button
          type="button"
          class="button is-main"
          onClick={() => {
            tourStep.value = 0;
            go(said.steps[0]!.to);
          }}
        >
          {said.tour}
        </button>
      }
    >
      <div class="offers" role="group" aria-label={said.title}>
        <button
          type="button"
          class="button"
          aria-pressed={session.user === null}
          onClick={() => void become(() => session.signOut())}
        >
          {said.anybody}
        </button>
        {offers.map((offer) => (
          <button
            key={offer.user}
            type="button"
            class="button"
            title={t().users.roleHint[offer.role]}
            aria-pressed={session.user === offer.user}
            onClick={() => void become(() => session.signIn(offer.user, offer.password))}
          >
            {said.as(offer.user, word(t().users.role, offer.role))}
          </button>
        ))}
      </div>
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
    </Panel>
  );
}
