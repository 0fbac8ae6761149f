import { type AppError, assertNever, messageOf } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { discoveryUrl, placed, unsafeEndpoint } from '../../../src/config/provider-endpoints.ts'
import { describeDuration } from '../../../src/lib/duration.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { GroupProblem } from '../../../src/operator.ts'
import type { Clock } from '../../../src/types.ts'
import type { Config, DirectoryConfig, IdpConfig } from '../../../src/config/model.ts'
import { OKTA_TIMEOUT_MS, withDeadline } from '../deadline.ts'
import { count } from '../text.ts'
import type { Finding } from '../finding.ts'
import { judgeOffers, redirectUri } from './registration.ts'

/** Asks the identity provider, with a service account Okta's API, and a shared store, and connects to upstreams. Never rejects. */
export async function checkOnline(config: Config, clock: Clock = systemClock): Promise<readonly Finding[]> {
  const { idps } = config.fixed
  // Providers of one issuer share their directory.
  const orgs = idps.filter(({ issuer }, i) => idps.findIndex((other) => other.issuer === issuer) === i)
  const [providers, signals, issuers, okta, store, upstreams] = await Promise.all([
    Promise.all(idps.map((idp) => checkIssuer(config, idp))),
    checkSharedSignals(config),
    checkTokenIssuers(config),
    Promise.all(
      orgs.flatMap((idp) => (idp.directory.kind === 'okta' ? [checkOkta(config, idp, idp.directory, clock)] : [])),
    ),
    checkStore(config, clock),
    checkUpstreams(config),
  ])
  return [...providers.flat(), ...signals, ...issuers, ...okta.flat(), ...store, ...upstreams]
}

/** One in this machine is opened by Postern alone. */
async function checkStore({ fixed }: Config, clock: Clock): Promise<readonly Finding[]> {
  const { inspectStore, isShared } = await import('../../../src/operator.ts')
  if (!isShared(fixed.storage)) return []
  const name = `store (${fixed.storage.kind})`
  try {
    await inspectStore(fixed, { clock, logger: silentLogger })
    return [{ name, ok: true, message: 'answers, and is of this shared_secret' }]
  } catch (error) {
    return [{ name, ok: false, message: messageOf(error) }]
  }
}

/** Of one that is down for now, and of one behind another network than this machine's. */
const UPSTREAM_TIMEOUT_MS = 5000

/** Nothing is asked of them. A certificate that is refused will not do later, either; one that is not there may only be out of reach from here. */
async function checkUpstreams({ fixed, live }: Config): Promise<readonly Finding[]> {
  if (fixed.services === 'authenticate') return []
  // Here and not above: what it brings with it is for those who ask.
  const { upstreamsOf } = await import('../../../src/operator.ts')
  const findings = await upstreamsOf(
    live,
    Math.min(live.upstreamConnectTimeout, UPSTREAM_TIMEOUT_MS),
    fixed.authorities,
  )
  return findings.map(({ upstream, definedAt, certificate, problem }) => {
    const name = `upstream ${upstream}`
    if (problem === undefined) return { name, ok: true, message: 'takes connections' }
    const message = `${problem} (${definedAt})`
    return certificate ? { name, ok: false, message } : { name, ok: true, note: true, message }
  })
}

async function checkTokenIssuers({ fixed }: Config): Promise<readonly Finding[]> {
  if (fixed.tokenIssuers.length === 0) return []
  const { tokenIssuersOf } = await import('../../../src/operator.ts')
  const findings = await tokenIssuersOf(fixed.tokenIssuers)
  return findings.map(({ name, keys, problem }) => ({
    name: `token issuer ${name}`,
    ok: problem === undefined && keys > 0,
    message: problem ?? (keys > 0 ? `publishes ${count(keys, 'key')}` : 'publishes no key'),
  }))
}

/** What to enter in Okta's Admin Console for an event hook, one a line. */
export function describeHook({ uri, events }: { readonly uri: string; readonly events: readonly string[] }) {
  return [
    `  URI      ${uri}`,
    '  Header   Authorization: the value of directory.okta.event_hook_secret',
    `  Events   ${count(events.length, 'type')}:`,
    ...events.map((event) => `           ${event}`),
  ]
}

/** OpenID Connect Discovery §4.3: the document must name exactly the issuer that was asked. */
async function checkIssuer(config: Config, idp: IdpConfig): Promise<readonly Finding[]> {
  const url = discoveryUrl(idp)
  const name = `identity provider ${idp.issuer}`
  // Here and not above: what it brings with it is for those who ask.
  const { createOutboundFetch } = await import('../../../src/lib/outbound.ts')
  const send = createOutboundFetch(idp.outbound ?? {}, idp.timeout)
  const answer = await askJson(url, { method: 'GET' }, idp.timeout, send)
  const issuer = judgeIssuer(config, idp, url, name, answer)
  const client =
    issuer.ok && 'body' in answer
      ? await checkClient(config, idp, placed(answer.body, idp)['token_endpoint'], send)
      : undefined
  const offers = issuer.ok && 'body' in answer ? judgeOffers(config, idp, answer.body) : []
  return [issuer, ...(client ? [client] : []), ...offers]
}

/** The metadata of whoever pushes events (SSF 1.0 §7): without its keys no event counts. */
async function checkSharedSignals({ fixed }: Config): Promise<readonly Finding[]> {
  const [idp] = fixed.idps
  if (!fixed.sharedSignals) return []
  const { issuer } = fixed.sharedSignals
  const { origin, pathname } = new URL(issuer)
  const url = `${origin}/.well-known/ssf-configuration${pathname === '/' ? '' : pathname}`
  const { createOutboundFetch } = await import('../../../src/lib/outbound.ts')
  const answer = await askJson(
    url,
    { method: 'GET' },
    idp.timeout,
    createOutboundFetch(idp.outbound ?? {}, idp.timeout),
  )
  const name = `shared signals of ${issuer}`
  if ('problem' in answer) return [{ name, ok: false, message: answer.problem }]
  const { issuer: named, jwks_uri: keys } = answer.body
  if (typeof named !== 'string' || named.replace(/\/$/, '') !== issuer || typeof keys !== 'string') {
    const message = `${url} answered ${answer.status} and no metadata of this issuer: see shared_signals.issuer`
    return [{ name, ok: false, message }]
  }
  return [{ name, ok: true, message: `tells its keys; make a push stream to the endpoint above` }]
}

function judgeIssuer({ live }: Config, idp: IdpConfig, url: string, name: string, answer: Answer): Finding {
  if ('problem' in answer) return { name, ok: false, message: answer.problem }
  if (answer.status !== 200) {
    return { name, ok: false, message: `${url} answered ${answer.status}; no issuer is there: see idp_provider_url` }
  }
  const { issuer, scopes_supported: scopes } = answer.body
  if (typeof issuer !== 'string') return { name, ok: false, message: `${url} is not a discovery document` }
  if (issuer.replace(/\/$/, '') !== idp.issuer) {
    return { name, ok: false, message: `it calls itself ${issuer}; write idp_provider_url: ${issuer}` }
  }
  const unsafe = unsafeEndpoint(placed(answer.body, idp), idp)
  if (unsafe !== undefined) return { name, ok: false, message: unsafe }
  const missing = Array.isArray(scopes) ? idp.scopes.filter((scope) => !scopes.includes(scope)) : []
  if (missing.length > 0)
    return { name, ok: true, message: `answers, but does not list the scopes ${missing.join(', ')}` }
  if (live.groupsScope.includes(idp.name) && !(Array.isArray(scopes) && scopes.includes('groups'))) {
    return {
      name,
      ok: true,
      warning: true,
      message: `it does not list the scope groups, so a sign-in does not ask for it; see that the claim "${live.groupsClaim}" comes without it, or add its scope to idp_scopes`,
    }
  }
  return { name, ok: true, message: 'discovery answers with this issuer' }
}

/**
 * A provider judges the client before the code, so a code that never was tells whether id and secret are right
 * (RFC 6749 §5.2). undefined: this one does not tell.
 */
async function checkClient(
  config: Config,
  idp: IdpConfig,
  endpoint: unknown,
  send: typeof fetch,
): Promise<Finding | undefined> {
  const { clientId, clientAuth } = idp
  if (typeof endpoint !== 'string' || clientAuth.kind === 'elsewhere') return undefined
  const basic = (text: string): string => encodeURIComponent(text)
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    code: 'postern-check-which-no-sign-in-made',
    code_verifier: 'postern-check-which-no-sign-in-made-0123456789',
    redirect_uri: redirectUri(config, idp),
    ...(clientAuth.kind === 'basic' ? {} : { client_id: clientId }),
    ...(clientAuth.kind === 'post' && { client_secret: clientAuth.secret.reveal() }),
  })
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    ...(clientAuth.kind === 'basic' && {
      authorization: `Basic ${Buffer.from(`${basic(clientId)}:${basic(clientAuth.secret.reveal())}`).toString('base64')}`,
    }),
  }
  const answer = await askJson(endpoint, { method: 'POST', headers, body: form.toString() }, idp.timeout, send)
  if ('problem' in answer) return undefined
  const name = `client ${clientId}`
  const error = answer.body['error']
  if (error === 'invalid_grant') return { name, ok: true, message: 'the provider accepts it' }
  if (error !== 'invalid_client' && error !== 'unauthorized_client') return undefined
  return {
    name,
    ok: false,
    message: `the provider does not accept it (${error}): see idp_client_id, idp_client_secret and idp_client_auth`,
  }
}

type OktaDirectory = Extract<DirectoryConfig, { kind: 'okta' }>

async function checkOkta(
  config: Config,
  idp: IdpConfig,
  directory: OktaDirectory,
  clock: Clock,
): Promise<readonly Finding[]> {
  // Here and not above: what it brings with it is for those who ask.
  const { inspect } = await import('../../../src/operator.ts')
  const { account, groups, log, withoutLog } = await withDeadline(OKTA_TIMEOUT_MS, (signal) =>
    inspect(config, idp, { clock, logger: silentLogger }, signal),
  )
  const { origin } = directory.url
  const isApp = directory.credentials.kind === 'service-app'
  const findings: Finding[] = []
  const accountName = `service account at ${origin}`
  if (account.ok) {
    const message =
      account.value === undefined ? 'the service app is accepted' : `the token belongs to ${account.value}`
    findings.push({ name: accountName, ok: true, message })
  } else findings.push({ name: accountName, ok: false, message: reasonOfOkta(account.error, isApp, 'okta.users.read') })
  const groupsName = `groups at ${origin}`
  if (groups?.ok) {
    findings.push({ name: groupsName, ok: true, message: 'can be read' })
    for (const problem of groups.value) findings.push(describeProblem(problem))
  } else if (groups) {
    findings.push({ name: groupsName, ok: false, message: reasonOfOkta(groups.error, isApp, 'okta.groups.read') })
  }
  const logName = `System Log at ${origin}`
  const every = describeDuration(directory.logInterval)
  if (log?.ok) findings.push({ name: logName, ok: true, message: `can be read: changes are looked for every ${every}` })
  else if (log?.error.code === 'ERR_DIRECTORY_FORBIDDEN') {
    const remedy = isApp ? 'grant the app the scope okta.logs.read' : 'a Read-only Administrator may read it'
    findings.push({
      name: logName,
      ok: true,
      warning: true,
      message: `may not be read (${remedy}): Postern falls back to lists of what changed, so changes take up to ${describeDuration(withoutLog)} and more, instead of ${every}`,
    })
  } else if (log) findings.push({ name: logName, ok: false, message: reasonOfOkta(log.error, isApp, 'okta.logs.read') })
  return findings
}

function describeProblem(problem: GroupProblem): Finding {
  const of = (message: string): Finding => ({
    name: `group ${JSON.stringify(problem.group)}`,
    ok: true,
    warning: true,
    message,
  })
  switch (problem.kind) {
    case 'unknown':
      return of(
        `Okta has no such group, so no person is in it${problem.nearest === undefined ? '' : `; did you mean ${JSON.stringify(problem.nearest)}?`}`,
      )
    case 'ambiguous':
      return of(
        `${problem.ids.length} groups have this name, and each of them counts; write an id: ${problem.ids.join(', ')}`,
      )
    case 'imported':
      return of(`only an imported group has this name, which rules do not match by name; write its id: ${problem.id}`)
    default:
      return assertNever(problem)
  }
}

/** For whoever has to do something about it. */
function reasonOfOkta({ code, message }: AppError, isApp: boolean, scope: string): string {
  switch (code) {
    case 'ERR_DIRECTORY_UNAUTHORIZED':
      return isApp
        ? `Okta does not accept the service app: client_id, private_key and the key in Okta must belong together (${message})`
        : 'Okta does not accept the token: it is wrong, revoked, or was unused for 30 days'
    case 'ERR_DIRECTORY_FORBIDDEN':
      return isApp
        ? `the service app may not do this; grant it the scope ${scope}, and the role Read-only Administrator`
        : 'the token may not do this; create it as a Read-only Administrator'
    case 'ERR_DIRECTORY_RATE_LIMITED':
      return "Okta's rate limit is used up; try again in a minute"
    default:
      return message
  }
}

type Answer =
  | { readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  | { readonly problem: string }

async function askJson(
  url: string,
  asked: { readonly method: string; readonly headers?: Record<string, string>; readonly body?: string },
  timeout: number,
  send: typeof fetch,
): Promise<Answer> {
  try {
    const response = await send(url, {
      ...asked,
      headers: { ...asked.headers, accept: 'application/json', 'user-agent': 'postern-check' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    })
    const text = await response.text()
    const body: unknown = text.startsWith('{') ? JSON.parse(text) : {}
    return { status: response.status, body: body as Readonly<Record<string, unknown>> }
  } catch (error) {
    return { problem: `no answer from ${new URL(url).host}: ${reasonOf(error)}` }
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'it took too long'
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof SyntaxError) return 'the answer is not JSON'
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'the connection failed'
}
