/** Secrets in force. Whoever is built once asks here at each use: a reload replaces them. */
import { credentialsOf, rotated } from './config/credentials.ts'
import type { Config, Credentials, DirectorySecrets, IdpConfig, SharedSignalsConfig } from './config/model.ts'
import { type CurrentSecret, currentSecret } from './lib/secret.ts'

export interface CredentialsInForce {
  clientAuth(idp: IdpConfig): IdpConfig['clientAuth']
  /** Of the directory that is configured with this provider. */
  readonly ofDirectory: (provider: string) => DirectorySecrets
  /** Who pushes security events, and what they show. */
  readonly sharedSignals:
    | (Omit<SharedSignalsConfig, 'authorization'> & { readonly authorization: CurrentSecret })
    | undefined
  rotate(next: Credentials): void
}

/** A worker that follows another has the first configuration's `fixed`, and the newest `live`. */
export function holdCredentials({ fixed, live }: Config): CredentialsInForce {
  let current = rotated(credentialsOf(fixed), live.credentials)
  const { sharedSignals } = fixed
  const ofProvider = (name: string) => current.idps.find((idp) => idp.name === name)
  return {
    clientAuth: (idp) => ofProvider(idp.name)?.clientAuth ?? idp.clientAuth,
    ofDirectory: (provider) => ofProvider(provider) ?? {},
    sharedSignals: sharedSignals && {
      ...sharedSignals,
      authorization: currentSecret(() => current.sharedSignals ?? sharedSignals.authorization),
    },
    rotate: (next) => void (current = rotated(current, next)),
  }
}
