/** Which identity provider is asked, where several would do: the person says so on a page. */
import { pageOf, pageReply } from '../pages/render.ts'
import type { Reply } from '../http/exchange.ts'
import type { Clock, IdentityProvider } from '../types.ts'
import { type ControlRequest, signInUrl } from './control-request.ts'
import { only } from './redirect.ts'

/** Parameter of a link to the sign-in that names the provider. Not signed: it is theirs to choose. */
const CHOICE = 'provider'

/** The query of a link as it was signed, and the choice that was made since; undefined: none. */
export function readChoice(text: string): { readonly query: URLSearchParams; readonly chosen: string | undefined } {
  const query = new URLSearchParams(text)
  const chosen = only(query, CHOICE)
  query.delete(CHOICE)
  return { query, chosen }
}

/** `own`: the providers that this browser is signed in with, of which none counts. */
export function choicePage(
  request: ControlRequest,
  providers: readonly IdentityProvider[],
  own: readonly IdentityProvider[],
  clock: Clock,
): Reply {
  const { facts, generation } = request
  const labels = new Map(generation.fixed.idps.map(({ name, label }) => [name, label]))
  const labelOf = ({ name }: IdentityProvider): string => labels.get(name) ?? name
  return pageReply(pageOf(generation, facts.id, clock.now()), 200, {
    kind: 'choose-provider',
    providers: providers.map((idp) => ({ label: labelOf(idp), href: choiceUrl(request, idp) })),
    signedInWith: own.map(labelOf),
  })
}

/** The link that was followed, with a choice. */
function choiceUrl(request: ControlRequest, { name }: IdentityProvider): string {
  const { query } = readChoice(request.facts.query)
  query.set(CHOICE, name)
  return `${signInUrl(request)}?${query.toString()}`
}
