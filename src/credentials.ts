/** Secrets in force. Whoever is built once asks here at each use: a reload replaces them. */
import { credentialsOf, rotated } from './config/credentials.ts'
import type { Config, Credentials, DirectorySecrets, IdpConfig, SharedSignalsConfig } from './config/model.ts'
import { AppError } from './errors.ts'
import { fingerprint } from './lib/fingerprint.ts'
import { createHandover } from './lib/handover.ts'
import { createKeyRings, type KeyRings, type SharedSecrets } from './lib/key-ring.ts'
import { type CurrentSecret, currentSecret, type Secret } from './lib/secret.ts'
import { NEVER } from './lib/time.ts'
import type { Clock, Span, WallTime } from './types.ts'

/**
 * A new shared secret opens at once, and seals after this: until then the last process has read its file (a Secret takes
 * Kubernetes two minutes), and applications have asked for the keys again (five).
 */
export const SETTLING: Span = 10 * 60_000

export interface CredentialsInForce {
  clientAuth(idp: IdpConfig): IdpConfig['clientAuth']
  /** Since when that is what this process shows a provider, its start at the earliest. NEVER: it shows it nothing. */
  since(provider: string): WallTime
  /** Of the directory that is configured with this provider. */
  readonly ofDirectory: (provider: string) => DirectorySecrets
  /** Who pushes security events, and what they show. */
  readonly sharedSignals:
    | (Omit<SharedSignalsConfig, 'authorization'> & { readonly authorization: CurrentSecret })
    | undefined
  /** Of what others show us, and of what we sign. */
  readonly keyRings: KeyRings
  /** For what is stored: a secret that was taken out still opens it until it is sealed again. */
  readonly keptRings: KeyRings
  /** Nothing that is kept is of what was taken out. */
  sealedAnew(): void
  /** Of the shared secrets this one sealed last: it does for now, if it is not the first. */
  beginWith(index: number): void
  /** Throws ERR_CONFIG_INVALID for shared secrets that would sign everybody out. The answer puts them into force. */
  prepare(next: Credentials): () => void
  close(): void
}

/** A worker that follows another has the first configuration's `fixed`, and the newest `live`. `changed`: another shared secret seals, or one was taken out. */
export function holdCredentials(
  { fixed, live }: Config,
  { clock, changed }: { readonly clock: Clock; readonly changed: () => void },
): CredentialsInForce {
  const { sharedSignals } = fixed
  let current = rotated(credentialsOf(fixed), live.credentials)
  const since = new Map(current.idps.map(({ name }) => [name, clock.now()]))
  let { sharedSecrets } = live.credentials
  let takenOut: readonly Secret[] = []
  let kept: { readonly by: SharedSecrets; readonly all: SharedSecrets } | undefined
  function keptBy(): SharedSecrets {
    const by = secrets.current()
    if (kept?.by !== by) kept = { by, all: [...by, ...takenOut] }
    return kept.all
  }
  const ofProvider = (name: string) => current.idps.find((idp) => idp.name === name)
  const secrets = createHandover({ first: sharedSecrets, isSame, delay: SETTLING, clock, changed })
  return {
    clientAuth: (idp) => ofProvider(idp.name)?.clientAuth ?? idp.clientAuth,
    since(provider) {
      const shows = ofProvider(provider)?.clientAuth.kind !== 'elsewhere'
      return (shows && since.get(provider)) || NEVER
    },
    ofDirectory: (provider) => ofProvider(provider) ?? {},
    sharedSignals: sharedSignals && {
      ...sharedSignals,
      authorization: currentSecret(() => current.sharedSignals ?? sharedSignals.authorization),
    },
    keyRings: createKeyRings(() => secrets.current()),
    keptRings: createKeyRings(keptBy),
    sealedAnew() {
      takenOut = []
      kept = undefined
    },
    beginWith(index) {
      const sealed = sharedSecrets[index]
      if (sealed) secrets.resume(sealed)
    },
    prepare(next) {
      if (!next.sharedSecrets.some((secret) => sharedSecrets.some((known) => isSame(secret, known)))) {
        throw new AppError(
          'ERR_CONFIG_INVALID',
          'shared_secret: none of the lines was in force before, and everybody would be signed out: write the old one below the new one, and take it out later (docs/secrets.md)',
        )
      }
      return () => {
        const before = current
        current = rotated(before, next)
        for (const [i, { name, clientAuth }] of current.idps.entries()) {
          if (fingerprint(clientAuth) !== fingerprint(before.idps[i]?.clientAuth)) since.set(name, clock.now())
        }
        const hadTakenOut = takenOut
        const had = [...sharedSecrets, ...takenOut]
        ;({ sharedSecrets } = next)
        takenOut = had.filter((secret) => !sharedSecrets.some((known) => isSame(secret, known)))
        secrets.replace(sharedSecrets)
        // What older secrets sealed is being sealed again, or will be tried again: a reload is no reason to start over.
        if (takenOut.some((secret) => !hadTakenOut.includes(secret))) changed()
      }
    },
    close: () => secrets.close(),
  }
}

function isSame(left: Secret, right: Secret): boolean {
  return left.reveal() === right.reveal()
}
