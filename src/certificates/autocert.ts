/**
 * Keeps a certificate for every host that needs one. One process of all that share the store orders, by a lease; the
 * others take over what it stored. The certificate in force stays until the next one is there.
 */
import { createFaultLog } from '../lib/fault-tally.ts'
import type { AcmeConfig } from '../config/model.ts'
import type { Certificate } from '../config/route-model.ts'
import { AppError, messageOf, faultFields } from '../errors.ts'
import { every } from '../lib/clock.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import type { Secret } from '../lib/secret.ts'
import { epochMillis, isoTime, later, wallTime } from '../lib/time.ts'
import type { Clock, Logger, Span, Store } from '../types.ts'
import { type AcmeAccount, type Challenges, generateKey, openAcmeAccount, ORDER_TIMEOUT } from './acme.ts'
import { accountContext, createCertificates } from './certificates.ts'
import type { CertificateState } from './model.ts'
import { retryAfter } from './schedule.ts'
import { accountsTable, challengesTable, failuresTable } from './tables.ts'

export interface Autocert {
  /** For handshakes; the same object while it is in force. */
  certificateOf(host: string): Certificate | undefined
  /** Key authorization of a token, whichever process ordered. */
  challenge(token: string): Promise<string | undefined>
  /** Of each host that needs one. */
  state(): readonly CertificateState[]
  /** Orders what is missing or due. Never rejects. */
  renew(): Promise<void>
  /** From now on orders by itself. */
  start(): void
  close(): Promise<void>
}

/** How often hosts and expiries are looked at. */
const INTERVAL: Span = 30_000
/** A killed process is followed after so long. */
const LEASE_TTL: Span = ORDER_TIMEOUT + INTERVAL
const CHALLENGE_TTL: Span = 2 * ORDER_TIMEOUT
const LEASE = 'acme'

/** Reads the store, so that a restart serves at once what is there. */
export async function openAutocert(deps: {
  readonly config: AcmeConfig
  readonly keyRings: KeyRings
  readonly hosts: () => readonly string[]
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly ordered: (outcome: 'issued' | 'failed') => void
}): Promise<Autocert> {
  const { config, keyRings, hosts, store, clock, logger, ordered } = deps
  const server = config.directoryUrl.href
  const closing = new AbortController()
  const tell = createFaultLog({ clock, logger })
  const certificates = createCertificates({ store, clock, logger, keyRings })
  const problems = new Map<string, string>()
  let stop = (): void => {}
  let running: Promise<void> | undefined
  let again = false

  const challenges: Challenges = {
    async publish(token, keyAuthorization) {
      const expiresAt = later(clock.now(), CHALLENGE_TTL)
      await store.put(challengesTable, token, { keyAuthorization }, { expiresAt })
    },
    withdraw: (token) => store.delete(challengesTable, token),
  }

  const isDue = (host: string): boolean => {
    const held = certificates.get(host)
    return held === undefined || held.renewAt <= clock.now()
  }

  /** Also while another process orders: a failure of yesterday is a reason to wait after a restart, too. */
  async function mayAsk(key: string): Promise<boolean> {
    const failure = await store.get(failuresTable, key)
    if (failure) problems.set(key, failure.value.reason)
    else problems.delete(key)
    return !failure || wallTime(failure.value.retryAt) <= clock.now()
  }

  async function failed(key: string, of: 'host' | 'server', error: unknown): Promise<void> {
    const reason = messageOf(error)
    const before = await store.get(failuresTable, key)
    const count = (before?.value.count ?? 0) + 1
    const retryAt = later(clock.now(), retryAfter(count, of))
    problems.set(key, reason)
    ordered('failed')
    const inForce = certificates.get(key)
    logger.error(
      {
        ...(of === 'host' && { host: key }),
        ...faultFields(error),
        failures: count,
        retry_at: isoTime(retryAt),
        ...(inForce && { valid_until: isoTime(inForce.notAfter) }),
      },
      of === 'server'
        ? 'the ACME server cannot be used: no certificate is ordered or renewed'
        : `no new certificate: ${inForce ? 'the one in force stays' : 'https to this host fails'}. Proof is asked for at port 80 of the host, which must lead to http_redirect_addr`,
    )
    const record = { count, retryAt: epochMillis(retryAt), reason }
    // Beyond the next attempt, so that failures in a row are counted.
    await store.put(failuresTable, key, record, { expiresAt: later(retryAt, 2 * retryAfter(count, of)) })
  }

  async function readAccountKey(): Promise<Secret> {
    const context = accountContext(server)
    const stored = await store.get(accountsTable, server)
    const known = stored && certificates.unseal(stored.value.sealedKey, context)
    if (known) return known
    const key = await generateKey()
    await store.put(accountsTable, server, { sealedKey: certificates.seal(key, context) })
    return key
  }

  async function openAccount(): Promise<AcmeAccount | undefined> {
    if (!(await mayAsk(server))) return undefined
    try {
      const accountKey = await readAccountKey()
      const account = await openAcmeAccount({ config, accountKey, challenges, clock, close: closing.signal })
      await store.delete(failuresTable, server)
      problems.delete(server)
      return account
    } catch (error) {
      if (!closing.signal.aborted) await failed(server, 'server', error)
      return undefined
    }
  }

  async function order(account: AcmeAccount, host: string): Promise<void> {
    logger.info({ host, acme_server: config.directoryUrl.host }, 'ordering a certificate')
    try {
      await certificates.save(host, await account.order(host))
    } catch (error) {
      if (!closing.signal.aborted) await failed(host, 'host', error)
      return
    }
    ordered('issued')
    if (isDue(host)) {
      // It is used, and not ordered again at once, and again.
      const why =
        'the new certificate is due for renewal already: the clock of this machine, or of the authority, is wrong'
      return failed(host, 'host', new AppError('ERR_ACME', why))
    }
    await store.delete(failuresTable, host)
    problems.delete(host)
    const notAfter = certificates.get(host)?.notAfter
    logger.info({ host, ...(notAfter !== undefined && { valid_until: isoTime(notAfter) }) }, 'certificate issued')
  }

  async function orderDue(): Promise<void> {
    const due: string[] = []
    for (const host of hosts()) if (isDue(host) && (await mayAsk(host))) due.push(host)
    if (due.length === 0) return
    const lease = await store.lease(LEASE, LEASE_TTL)
    if (!lease) return
    try {
      const account = await openAccount()
      if (!account) return
      for (const host of due) {
        if (closing.signal.aborted || !(await lease.renew())) return
        // Whoever held the lease before may have it.
        await certificates.load(host)
        if (isDue(host) && (await mayAsk(host))) await order(account, host)
      }
    } finally {
      await lease.release()
    }
  }

  async function run(): Promise<void> {
    try {
      await orderDue()
    } catch (error) {
      tell(error, 'certificates could not be looked after; the next look is soon')
    }
  }

  /** One at a time; a call meanwhile is a look afterwards. */
  async function renew(): Promise<void> {
    again = true
    running ??= (async () => {
      while (again && !closing.signal.aborted) {
        again = false
        await run()
      }
      running = undefined
    })()
    await running
  }

  await certificates.loadAll()
  return {
    certificateOf: (host) => certificates.get(host)?.certificate,
    challenge: async (token) => (await store.get(challengesTable, token))?.value.keyAuthorization,
    state: () =>
      hosts().map((host) => {
        const notAfter = certificates.get(host)?.notAfter
        // What another process has mended is no problem any more.
        const problem = isDue(host) ? (problems.get(host) ?? problems.get(server)) : undefined
        return { host, ...(notAfter !== undefined && { notAfter }), ...(problem !== undefined && { problem }) }
      }),
    renew,
    start() {
      void renew()
      stop = every(clock, INTERVAL, () => void renew())
    },
    async close() {
      closing.abort(new Error('the process ends'))
      stop()
      certificates.close()
      await running
    },
  }
}
