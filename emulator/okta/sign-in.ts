import { timingSafeEqual } from 'node:crypto'
import type { BrowserIdentities } from './browser-identities.ts'
import type { Clock } from './clock.ts'
import { type Call, form, html, redirect, type Reply } from './http/call.ts'
import type { Org } from './model/org.ts'
import type { Person } from './model/types.ts'
import { chooseAssurance, methodsOf } from './oidc/assurance.ts'
import type { Engine, PendingSignIn } from './oidc/engine.ts'
import type { OidcStorage } from './oidc/storage.ts'
import { FAULTS } from './oidc/texts.ts'
import { errorPage, type Offer, type SignInView, signInPage } from './pages/sign-in-page.tsx'

export interface SignInDeps {
  readonly clock: Clock
  readonly org: Org
  readonly storage: OidcStorage
  readonly engine: () => Promise<Engine>
  readonly identities?: BrowserIdentities
}

/** People offered as buttons; a bigger org gets the input field alone. */
const OFFERED = 12

/**
 * `/signin/{server}/{uid}`: the page, and what is posted from it. Only ACTIVE people with the right password (when they
 * have one) continue; whether the app is assigned is decided afterwards, at /authorize.
 */
export async function signIn(call: Call, deps: SignInDeps): Promise<Reply> {
  const engine = await deps.engine()
  let pending: PendingSignIn
  try {
    pending = await engine.pending(call.req, call.res)
  } catch {
    // No cookie, another browser, or an hour later: no pending sign-in.
    return html(
      400,
      errorPage({
        status: 400,
        error: 'login_required',
        error_description: 'Your session has expired. Please try to sign in again.',
      }),
    )
  }
  if (call.method === 'GET') {
    const known = deps.org.findPerson(deps.identities?.signInAs(call.req.headers.cookie) ?? '')
    return known && !refuse(known, '')
      ? accept(call, engine, pending, known, deps)
      : html(200, signInPage(view(pending, deps)))
  }

  const fields = await form(call)
  if (fields.has('cancel')) {
    const { error, error_description } = FAULTS.denied
    return redirect(await engine.resolve(call.req, call.res, { error, error_description }), 303)
  }
  const person = deps.org.findPerson(fields.get('identifier') ?? '')
  const refused = refuse(person, fields.get('password') ?? '')
  if (!person || refused) {
    deps.org.note('user.session.start', person?.id ?? 'unknown', 'FAILURE')
    return html(
      401,
      signInPage({ ...view(pending, deps), hint: fields.get('identifier') ?? '', ...(refused && { refused }) }),
    )
  }
  const accepted = await accept(call, engine, pending, person, deps)
  return deps.identities
    ? { ...accepted, headers: { ...accepted.headers, 'set-cookie': deps.identities.remember(person.login) } }
    : accepted
}

async function accept(
  call: Call,
  engine: Engine,
  pending: PendingSignIn,
  person: Person,
  deps: SignInDeps,
): Promise<Reply> {
  const assurance = chooseAssurance(pending.acrValues, person)
  const amr = [...methodsOf(assurance === 'unmet' ? 1 : assurance.factors)]
  const next = await engine.resolve(call.req, call.res, {
    login: { accountId: person.id, amr, ts: Math.floor(deps.clock.now() / 1000) },
  })
  takeOver(pending, person, deps)
  deps.org.note('user.session.start', person.id)
  deps.org.updatePerson(person.id, { lastLogin: deps.clock.now() }, 'user.authentication.sso')
  return redirect(next, 303)
}

/** When somebody else signs in, the session becomes theirs: at Okta a new sign-in replaces the old one. */
function takeOver(pending: PendingSignIn, person: Person, deps: SignInDeps): void {
  const session = pending.sessionId === undefined ? undefined : deps.storage.session(pending.sessionId)
  if (!session || session.accountId === person.id) return
  session.accountId = person.id
  session.authorizations = {}
}

function refuse(person: Person | undefined, password: string): SignInView['refused'] {
  if (!person) return { text: 'Unable to sign in', why: 'There is no such person in this org.' }
  const rightPassword = person.password === undefined || same(person.password, password)
  if (!rightPassword) return { text: 'Unable to sign in', why: 'That is not the password.' }
  if (person.status === 'ACTIVE') return undefined
  const why = `${person.login} is ${person.status}.`
  if (person.status === 'LOCKED_OUT') {
    return { text: 'Your account is locked. Please contact your administrator.', why }
  }
  if (person.status === 'PASSWORD_EXPIRED') return { text: 'Your password has expired', why }
  return { text: 'Unable to sign in', why }
}

function view(pending: PendingSignIn, { org }: SignInDeps): SignInView {
  const people = org.people.slice(undefined, OFFERED + 1)
  // The owner of an API token is a service account.
  const owners = new Set(org.tokens().map(({ ownerId }) => ownerId))
  const offered = people.filter((person) => person.password === undefined && !owners.has(person.id))
  return {
    app: org.apps.get(pending.clientId)?.label ?? pending.clientId,
    hint: pending.loginHint ?? '',
    people:
      people.length > OFFERED
        ? []
        : offered.toSorted((a, b) => (a.login < b.login ? -1 : 1)).map((person) => offer(person, org)),
    askPassword: people.some((person) => person.password !== undefined),
  }
}

function offer(person: Person, org: Org): Offer {
  const groups = org.groupsOf(person.id).flatMap(({ type, name }) => (type === 'BUILT_IN' ? [] : [name]))
  const status = person.status.toLowerCase().replace('_', ' ')
  return {
    name: `${person.firstName} ${person.lastName}`,
    login: person.login,
    note: person.status === 'ACTIVE' ? groups.join(', ') || 'no group' : status,
  }
}

function same(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}
