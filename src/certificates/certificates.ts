/** The certificates of ACME that are in force: from the store, which all processes share, into memory, where handshakes find them. */
import { createFaultLog } from '../lib/fault-tally.ts'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Certificate } from '../config/route-model.ts'
import { AppError } from '../errors.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import { Secret } from '../lib/secret.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Logger, Store, WallTime } from '../types.ts'
import { instantOf, renewalOf } from './schedule.ts'
import { accountsTable, certificatesTable } from './tables.ts'

export interface HeldCertificate {
  readonly certificate: Certificate
  readonly notAfter: WallTime
  readonly renewAt: WallTime
}

export interface Certificates {
  get(host: string): HeldCertificate | undefined
  /** Reads what is stored of a host. What cannot be used leaves the one in force. */
  load(host: string): Promise<void>
  /** Rejects ERR_ACME for what no client could be served with. */
  save(host: string, issued: { readonly chain: string; readonly key: Secret }): Promise<void>
  /** Everything that is stored. */
  loadAll(): Promise<void>
  seal(text: Secret, context: string): string
  unseal(sealed: string, context: string): Secret | undefined
  close(): void
}

export function createCertificates(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly keyRings: KeyRings
}): Certificates {
  const { store, clock, keyRings } = deps
  const tell = createFaultLog(deps)
  const ring = keyRings('acme-keys')
  const held = new Map<string, HeldCertificate>()

  function unseal(sealed: string, context: string): Secret | undefined {
    const text = ring.open(sealed, context)
    return text === undefined ? undefined : new Secret(text)
  }

  async function load(host: string): Promise<void> {
    try {
      const stored = await store.get(certificatesTable, host)
      if (!stored) return
      const { chain, sealedKey } = stored.value
      const key = unseal(sealedKey, contextOf(host))
      if (!key) throw new AppError('ERR_ACME', 'its key was sealed with another shared_secret')
      held.set(host, hold(host, chain, key))
    } catch (error) {
      tell(error, 'a stored certificate cannot be used', { host }, host)
    }
  }

  async function loadAll(): Promise<void> {
    const hosts: string[] = []
    try {
      for await (const [host] of store.list(certificatesTable)) hosts.push(host)
    } catch (error) {
      tell(error, 'stored certificates could not all be listed')
    }
    for (const host of hosts) await load(host)
  }

  const stop = store.watch(
    ({ table, key, kind }) => {
      if (table === certificatesTable.name && kind === 'put') void load(key)
    },
    () => void loadAll(),
  )

  return {
    get: (host) => held.get(host),
    load,
    loadAll,
    unseal,
    seal: (text, context) => ring.seal(text.reveal(), context),
    async save(host, { chain, key }) {
      const next = hold(host, chain, key)
      if (next.notAfter <= clock.now())
        throw new AppError('ERR_ACME', `the certificate for ${host} has expired already`)
      await store.put(certificatesTable, host, { chain, sealedKey: ring.seal(key.reveal(), contextOf(host)) })
      held.set(host, next)
    },
    close: stop,
  }
}

/** The private keys that are kept, after a change of the shared secret. */
export async function sealCertificatesAnew(store: Store, keyRings: KeyRings): Promise<void> {
  const ring = keyRings('acme-keys')
  for await (const [host, { value, version }] of store.list(certificatesTable)) {
    const sealedKey = ring.sealAnew(value.sealedKey, contextOf(host))
    if (sealedKey !== undefined)
      await store.put(certificatesTable, host, { ...value, sealedKey }, { ifVersion: version })
  }
  for await (const [server, { value, version }] of store.list(accountsTable)) {
    const sealedKey = ring.sealAnew(value.sealedKey, accountContext(server))
    if (sealedKey !== undefined) await store.put(accountsTable, server, { sealedKey }, { ifVersion: version })
  }
}

/** Where a sealed key belongs. */
const contextOf = (host: string): string => `acme-certificate ${host}`
export const accountContext = (server: string): string => `acme-account ${server}`

/** Throws for what no client could be served with. */
function hold(host: string, chain: string, key: Secret): HeldCertificate {
  const leaf = new X509Certificate(chain)
  if (leaf.checkHost(host) === undefined) throw new AppError('ERR_ACME', `the certificate is not for ${host}`)
  if (!leaf.checkPrivateKey(createPrivateKey(key.reveal())))
    throw new AppError('ERR_ACME', `the certificate for ${host} has another key`)
  // Throws for what OpenSSL would not serve, such as a key that is too short.
  createSecureContext({ cert: chain, key: key.reveal() })
  const [notBefore, notAfter] = [instantOf(leaf.validFrom), instantOf(leaf.validTo)]
  return {
    certificate: { chain, key },
    notAfter,
    renewAt: renewalOf({ chain, notBefore, lifetime: elapsed(notAfter, notBefore) }),
  }
}
