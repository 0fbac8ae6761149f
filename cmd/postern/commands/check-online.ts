import type { Config } from '../../../src/types.ts'

/** What one dependency answered. */
export interface Finding {
  readonly name: string
  readonly ok: boolean
  readonly message: string
}

/** Asks the identity provider and, with a service account, Okta's API. Never rejects. */
export async function checkOnline(config: Config): Promise<readonly Finding[]> {
  const { directory } = config
  const checks = [checkIssuer(config)]
  // The token of a service app is made and renewed by the running program.
  if (directory.kind === 'okta' && directory.credentials.kind === 'token') {
    checks.push(checkToken(directory), checkGroups(directory))
  }
  return Promise.all(checks)
}

/** OpenID Connect Discovery §4.3: the document must name exactly the issuer that was asked. */
async function checkIssuer({ idp }: Config): Promise<Finding> {
  const url = `${idp.issuer}/.well-known/openid-configuration`
  const name = `identity provider ${idp.issuer}`
  const answer = await getJson(url, {}, idp.timeout)
  if ('problem' in answer) return { name, ok: false, message: answer.problem }
  if (answer.status !== 200) return { name, ok: false, message: `${url} answered ${answer.status}` }
  const { issuer, scopes_supported: scopes } = answer.body
  if (typeof issuer !== 'string') return { name, ok: false, message: `${url} is not a discovery document` }
  if (issuer.replace(/\/$/, '') !== idp.issuer) {
    return { name, ok: false, message: `it calls itself ${issuer}; write idp_provider_url: ${issuer}` }
  }
  const missing = Array.isArray(scopes) ? idp.scopes.filter((scope) => !scopes.includes(scope)) : []
  if (missing.length > 0)
    return { name, ok: true, message: `answers, but does not list the scopes ${missing.join(', ')}` }
  return { name, ok: true, message: 'discovery answers with this issuer' }
}

type OktaDirectory = Extract<Config['directory'], { kind: 'okta' }>

async function checkToken(directory: OktaDirectory): Promise<Finding> {
  const name = `service account at ${directory.url.origin}`
  const answer = await getOkta('/api/v1/users/me', directory)
  if ('problem' in answer) return { name, ok: false, message: answer.problem }
  const { profile } = answer.body
  const login =
    typeof profile === 'object' && profile !== null && 'login' in profile ? String(profile.login) : 'unknown'
  return { name, ok: true, message: `the token belongs to ${login}` }
}

async function checkGroups(directory: OktaDirectory): Promise<Finding> {
  const name = `groups at ${directory.url.origin}`
  const answer = await getOkta('/api/v1/groups?limit=1', directory)
  return 'problem' in answer ? { name, ok: false, message: answer.problem } : { name, ok: true, message: 'can be read' }
}

async function getOkta(path: string, { url, credentials, timeout }: OktaDirectory): Promise<Answer> {
  if (credentials.kind !== 'token') return { problem: 'only an API token can be tried like this' }
  const headers = { authorization: `SSWS ${credentials.token.reveal()}` }
  const answer = await getJson(new URL(path, url).href, headers, timeout)
  if ('problem' in answer || answer.status === 200) return answer
  const reasons: Readonly<Record<number, string>> = {
    401: 'Okta does not accept the token: it is wrong, revoked, or was unused for 30 days',
    403: 'the token may not do this; create it as a Read-only Administrator',
    429: "Okta's rate limit is used up; try again in a minute",
  }
  return { problem: reasons[answer.status] ?? `${path} answered ${answer.status}` }
}

type Answer =
  | { readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  | { readonly problem: string }

async function getJson(url: string, headers: Readonly<Record<string, string>>, timeout: number): Promise<Answer> {
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json', 'user-agent': 'postern-check', ...headers },
      // A redirect would carry the token to a host that nobody configured.
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
