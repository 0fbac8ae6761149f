/** Secrets that a reload replaces, though what they are for is built once. */
import { fingerprint } from '../lib/fingerprint.ts'
import { isFileKey, readPath } from './input.ts'
import { globalKeys } from './keys.ts'
import type { Path } from './issues.ts'
import type { Credentials, DirectoryConfig, DirectorySecrets, Fixed, Keys } from './model.ts'
import type { GlobalInput } from './schema.ts'
import { signInSecrets } from './sign-in-secrets.ts'

/** Beside the secrets: how they are shown, and whose they are. */
const SHOWN_WITH: readonly Path[] = [
  ['idp_client_auth'],
  ...['client_id', 'key_id', 'scopes'].map((key) => ['directory', 'okta', key]),
]

const KEYS: readonly Path[] = [['shared_secret'], ['signing_key']]

type Shown = Pick<Credentials, 'idps' | 'sharedSignals'>

/** As a configuration has them. */
export function credentialsOf({ idps, sharedSignals }: Pick<Fixed, 'idps' | 'sharedSignals'>): Shown {
  return {
    idps: idps.map(({ name, issuer, internalUrl, clientId, clientAuth, directory }) => ({
      name,
      recipient: fingerprint([issuer, internalUrl, clientId, 'url' in directory && directory.url]),
      clientAuth,
      ...directorySecretsOf(directory),
    })),
    ...(sharedSignals && { sharedSignals: sharedSignals.authorization }),
  }
}

export function compileCredentials(
  { sharedSecrets, signingKeys, ...shown }: Pick<Fixed, 'idps' | 'sharedSignals'> & Keys,
  globals: GlobalInput,
): Credentials {
  const names = Object.keys(globals.identity_providers)
  const ofNamed = names.flatMap((name) =>
    [...SHOWN_WITH.slice(1), ['client_auth']].map((path): Path => ['identity_providers', name, ...path]),
  )
  const paths = [...signInSecrets(names), ...SHOWN_WITH, ...ofNamed, ...KEYS].map((path) => path.map(String))
  return {
    ...credentialsOf(shown),
    sharedSecrets,
    signingKeys,
    written: new Map(paths.map((path) => [path.join('.'), fingerprint(readPath(globals, path))])),
  }
}

export function directorySecretsOf(directory: DirectoryConfig): DirectorySecrets {
  return {
    ...(directory.scim && { scim: directory.scim.token }),
    ...(directory.kind === 'okta' && {
      okta: directory.credentials,
      ...(directory.hookSecret && { hook: directory.hookSecret }),
    }),
  }
}

/**
 * Those of `next`; what it no longer has stays as it was, until the restart that this takes. Nor does a provider or an org
 * get what is meant for the one of the next start.
 */
export function rotated(before: Shown, { idps, sharedSignals }: Shown): Shown {
  const after = new Map(idps.map((idp) => [idp.name, idp]))
  return {
    ...before,
    ...(sharedSignals && { sharedSignals }),
    idps: before.idps.map((idp) => {
      const next = after.get(idp.name)
      if (next?.recipient !== idp.recipient) return idp
      // A process that will only proxy has no client secret; until its restart it signs people in.
      return { ...idp, ...next, clientAuth: next.clientAuth.kind === 'elsewhere' ? idp.clientAuth : next.clientAuth }
    }),
  }
}

/** Of what is read once, all but the credentials: that there are some is part of it. */
export function withoutCredentials({ idps, sharedSignals, ...fixed }: Omit<Fixed, 'written'>): object {
  return {
    ...fixed,
    idps: idps.map(({ clientAuth, directory, ...idp }) => {
      const { scim, okta, hook } = directorySecretsOf(directory)
      return {
        ...idp,
        hasSecrets: clientAuth.kind !== 'elsewhere',
        directory: {
          ...directory,
          scim: scim !== undefined,
          credentials: okta !== undefined,
          hookSecret: hook !== undefined,
        },
      }
    }),
    sharedSignals: sharedSignals && { ...sharedSignals, authorization: true },
  }
}

/** Key → fingerprint of what needs a restart: the value, or of a secret that is live, whether there is one. */
export function writtenAtStart(globals: GlobalInput): ReadonlyMap<string, string> {
  const secrets = new Set(signInSecrets([]).map((path) => path.join('.')))
  return new Map(
    globalKeys
      // Where a secret is kept does not count, only what it is.
      .filter(({ path }) => !isFileKey(path.at(-1) ?? '', globalKeys))
      .flatMap(({ path, restart }) => {
        const [name, value] = [path.join('.'), readPath(globals, path)]
        if (restart) return [[name, fingerprint(value)] as const]
        return secrets.has(name) ? [[name, fingerprint(value !== undefined)] as const] : []
      }),
  )
}
