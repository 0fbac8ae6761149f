/** One ACME account (RFC 8555). The only file that knows acme-client. */
import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { AcmeConfig } from '../config/model.ts'
import { AppError, messageOf } from '../errors.ts'
import { createSend, readBounded } from '../lib/outbound.ts'
import { Secret } from '../lib/secret.ts'
import type { Clock, Span } from '../types.ts'

/** What is proved: the token's key authorization is served at the host (RFC 8555 §8.3). */
export interface Challenges {
  publish(token: string, keyAuthorization: string): Promise<void>
  withdraw(token: string): Promise<void>
}

export interface AcmeAccount {
  /** Rejects ERR_ACME, also when there is no certificate in time. */
  order(host: string): Promise<{ readonly chain: string; readonly key: Secret }>
}

/** For an order, and for registration, as a whole. */
export const ORDER_TIMEOUT: Span = 90_000
const CONNECT_TIMEOUT: Span = 10_000
/** A chain is a few kilobytes. */
const MAX_ANSWER_BYTES = 262_144
const TOKEN = /^[A-Za-z0-9_-]{1,256}$/

/** Registers the account, or finds it. Rejects ERR_ACME. `close` ends what is under way. */
export async function openAcmeAccount(deps: {
  readonly config: AcmeConfig
  readonly accountKey: Secret
  readonly challenges: Challenges
  readonly clock: Clock
  readonly close: AbortSignal
}): Promise<AcmeAccount> {
  const { config, accountKey, challenges, clock, close } = deps
  const { directoryUrl, email, externalAccount } = config
  // Loaded when it is used: it brings much.
  const { Client, crypto } = await import('acme-client')
  const send = createSend(config.outbound, CONNECT_TIMEOUT)
  let signal: AbortSignal = close
  const client = new Client({
    directoryUrl: directoryUrl.href,
    accountKey: accountKey.reveal(),
    backoffAttempts: 20,
    backoffMin: 500,
    backoffMax: 5000,
    ...(externalAccount && {
      externalAccountBinding: { kid: externalAccount.keyId, hmacKey: externalAccount.macKey.reveal() },
    }),
  })
  // Its own way out has no limits, waits as long as a server says, and takes proxies from the environment.
  const { http } = client as unknown as { http: { request: typeof request } }
  http.request = request

  async function request(
    url: string,
    method: string,
    { data }: { readonly data?: unknown } = {},
  ): Promise<{ readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly data: unknown }> {
    if (!url.startsWith('https://')) throw new Error(`the server names an address that is not https: ${url}`)
    const answer = await send(url, {
      method: method.toUpperCase(),
      headers: { 'content-type': 'application/jose+json', 'user-agent': 'postern' },
      ...(data !== undefined && { body: JSON.stringify(data) }),
      signal,
    })
    const bytes = await readBounded(answer.body, MAX_ANSWER_BYTES)
    if (!bytes) throw new Error(`an answer is larger than ${MAX_ANSWER_BYTES} bytes`)
    const { status } = answer
    const headers = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]))
    const isJson = /^application\/(?:problem\+)?json/.test(headers['content-type'] ?? '')
    if (status >= 300 && status < 400) throw new Error(`${new URL(url).origin} redirects, which nobody follows`)
    if (status >= 500 || (status >= 400 && !isJson)) throw new Error(`${new URL(url).origin} answered ${status}`)
    const text = bytes.toString()
    return { status, headers, data: isJson ? JSON.parse(text) : text }
  }

  /** One at a time, because all requests have the signal of the piece of work under way. */
  async function bounded<T>(what: string, work: () => Promise<T>): Promise<T> {
    const timeout = new AbortController()
    const stop = clock.after(ORDER_TIMEOUT, () => timeout.abort(new Error(`not done within ${ORDER_TIMEOUT / 1000} s`)))
    signal = AbortSignal.any([close, timeout.signal])
    try {
      return await Promise.race([work(), aborted(signal)])
    } catch (error) {
      throw new AppError('ERR_ACME', `${what}: ${reasonOf(error)}`, { cause: error })
    } finally {
      stop()
    }
  }

  async function prove(host: string, order: Parameters<typeof client.getAuthorizations>[0]): Promise<void> {
    if (order.authorizations.length !== 1) throw new Error('the server asks for proof of other names, too')
    const [authorization] = await client.getAuthorizations(order)
    if (!authorization || authorization.status === 'valid') return
    const challenge = authorization.challenges.find(({ type }) => type === 'http-01')
    if (!challenge || !TOKEN.test(challenge.token))
      throw new Error(`the server offers no http-01 challenge for ${host}`)
    await challenges.publish(challenge.token, await client.getChallengeKeyAuthorization(challenge))
    try {
      await client.completeChallenge(challenge)
      await client.waitForValidStatus(challenge)
    } finally {
      await challenges.withdraw(challenge.token).catch(() => undefined)
    }
  }

  await bounded(`registration with ${directoryUrl.host}`, () =>
    client.createAccount({
      termsOfServiceAgreed: true,
      ...(email !== undefined && { contact: [`mailto:${email}`] }),
    }),
  )
  return {
    order: (host) =>
      bounded(`order for ${host} at ${directoryUrl.host}`, async () => {
        const order = await client.createOrder({ identifiers: [{ type: 'dns', value: host }] })
        await prove(host, order)
        const key = await generateKey()
        const [, csr] = await crypto.createCsr({ altNames: [host] }, key.reveal())
        return { chain: await client.getCertificate(await client.finalizeOrder(order, csr)), key }
      }),
  }
}

/** PEM of a P-256 key. */
export async function generateKey(): Promise<Secret> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const refuse = (): void => reject(signal.reason as Error)
    if (signal.aborted) refuse()
    else signal.addEventListener('abort', refuse, { once: true })
  })
}

/** Some of it is the server's words. Some packages wrap what the connection says. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return messageOf(cause instanceof Error ? cause : error).slice(0, 500)
}
