import type { DirectorySettings, OldName } from './provider-settings.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Span } from '../../types.ts'
import type { DirectoryConfig, OktaCredentials, Outbound } from '../model.ts'
import { parseServiceAccount } from '../aliases.ts'
import { formatPath, type Path, type Report } from '../issues.ts'
import { compileSigningKeys, realSecret } from './secrets.ts'
import { compileStatic } from './static.ts'
import { onPrivateNetwork, parseOrigin } from './urls.ts'

/** Where groups come from: Okta's API, what is pushed to us, what is written down; else the claim of a sign-in. */
export function compileDirectory(
  { provider, directory, path: base, older, allowHttp, isBroken, holdsSecrets }: DirectorySettings,
  issuer: string | undefined,
  outbound: Outbound,
  report: Report,
): DirectoryConfig {
  const at = (...inside: Path): Path => [...base, ...inside]
  const ages = {
    refreshInterval: renamed('idp_refresh_directory_interval', at('refresh_interval'), directory.refresh_interval),
    maxStaleness: directory.max_staleness,
    signInTimeout: directory.sign_in_timeout,
  }
  for (const [key, value] of [
    ['refresh_interval', ages.refreshInterval],
    ['max_staleness', ages.maxStaleness],
    ['sign_in_timeout', ages.signInTimeout],
    ['okta.log_interval', directory.okta.log_interval],
  ] as const) {
    if (value === 0) report.error(at(...key.split('.')), 'expected a duration above 0')
  }
  if (ages.maxStaleness < ages.refreshInterval) {
    report.error(
      at('max_staleness'),
      'expected at least refresh_interval, or groups are unknown before they are read again',
    )
  }
  if (!holdsSecrets) return followed()
  const timeout = renamed('idp_refresh_directory_timeout', at('okta', 'timeout'), directory.okta.timeout)
  const scim = directory.scim_token === undefined ? undefined : scimToken(directory.scim_token)
  const people = directory.static === undefined ? undefined : compileStatic(directory.static, at('static'), report)
  const credentials = serviceApp() ?? apiToken()
  const url = credentials && apiOrigin()
  const configured = { okta: url !== undefined, scim: scim !== undefined, static: people !== undefined }
  const common = { ...ages, order: order(), ...(scim && { scim: { token: scim } }), ...(people && { people }) }
  if (!url || !credentials || !common.order.includes('okta')) {
    return { kind: common.order.length > 0 ? 'local' : 'claims', ...common }
  }
  const hookSecret = directory.okta.event_hook_secret
  const secret = hookSecret === undefined ? undefined : longSecret(hookSecret, at('okta', 'event_hook_secret'))
  return {
    kind: 'okta',
    ...common,
    url,
    credentials,
    budget: directory.okta.budget,
    timeout,
    outbound,
    logInterval: directory.okta.log_interval,
    ...(secret && { hookSecret: secret }),
  }

  /** No source is read here, so none needs its secret: which ones there are says `sources`, or what is written of them. */
  function followed(): DirectoryConfig {
    // A file that is named need not be there.
    const isWritten = (path: Path): boolean =>
      report.isWritten(path) || report.isWritten([...path.slice(0, -1), `${path.at(-1)}_file`])
    const isOld = 'idp_service_account' in older && isWritten(['idp_service_account'])
    const written = {
      okta: isOld || isWritten(at('okta', 'api_token')) || isWritten(at('okta', 'client_id')),
      scim: isWritten(at('scim_token')),
      static: isWritten(at('static')),
    }
    const order = directory.sources ?? (['okta', 'scim', 'static'] as const).filter((name) => written[name])
    const url = order.includes('okta') ? apiOrigin() : undefined
    return order.length === 0
      ? { kind: 'claims', ...ages, order }
      : { kind: 'followed', ...ages, order, ...(url && { url }) }
  }

  /** As written, or all that there are. */
  function order(): DirectoryConfig['order'] {
    const all = (['okta', 'scim', 'static'] as const).filter((name) => configured[name])
    const { sources } = directory
    if (!sources) return all
    const needs = { okta: 'a service account', scim: 'scim_token', static: 'static or static_file' } as const
    for (const [i, name] of sources.entries()) {
      const place = at('sources', i)
      if (!configured[name] && !isBroken) report.error(place, `\`${name}\` needs ${needs[name]}`)
      if (sources.indexOf(name) !== i) report.error(place, `\`${name}\` is there twice`)
    }
    for (const name of all) {
      if (!sources.includes(name)) report.warning(at('sources'), `\`${name}\` is configured and not used`)
    }
    return sources
  }

  function scimToken(text: string): Secret | undefined {
    return longSecret(text, at('scim_token'))
  }

  /** Whoever guesses it can take people's access away, or give it. */
  function longSecret(text: string, path: Path): Secret | undefined {
    if (text.length >= 16) return realSecret(text, path, report)
    report.error(path, 'expected a secret of at least 16 characters; run `postern secrets generate`')
    return undefined
  }

  function serviceApp(): OktaCredentials | undefined {
    const { client_id: clientId, private_key: key, key_id: keyId, scopes } = directory.okta
    if (clientId === undefined && key === undefined) return undefined
    const path = at('okta', clientId === undefined ? 'client_id' : 'private_key')
    if (clientId === undefined || key === undefined) {
      report.error(path, 'missing; a service app needs client_id and private_key (or private_key_file)')
      return undefined
    }
    if (older.idp_service_account !== undefined || directory.okta.api_token !== undefined) {
      report.error(at('okta', 'client_id'), 'an API token is set too; set one of them')
    }
    const [privateKey] = compileSigningKeys(key, path, report)
    return privateKey && { kind: 'service-app', clientId, privateKey, scopes, ...(keyId !== undefined && { keyId }) }
  }

  function apiToken(): OktaCredentials | undefined {
    if (directory.okta.client_id !== undefined) return undefined
    const token = serviceToken()
    return token && { kind: 'token', token }
  }

  /** An old key counts when the new one is not written. */
  function renamed(old: OldName, path: Path, current: Span): Span {
    const value = older[old]
    if (value === undefined) return current
    const written = report.isWritten(path)
    report.warning([old], `the name is now ${formatPath(path)}${written ? ', which is written too and wins' : ''}`)
    return written ? current : value
  }

  function serviceToken(): Secret | undefined {
    const old = older.idp_service_account
    const current = directory.okta.api_token
    if (old === undefined && current === undefined) return undefined
    const oldPath = ['idp_service_account']
    const path = at('okta', 'api_token')
    const [fromOld, fromCurrent] = [oldPath, path].map((each) => report.sourceOf(each).kind === 'environment')
    const both = old !== undefined && current !== undefined
    if (both && fromOld === fromCurrent) {
      report.error(oldPath, `directory.okta.api_token is set too (${report.where(path)}); set one of them`)
      return undefined
    }
    // The environment wins, whatever name it uses.
    const useOld = current === undefined || (both && fromOld === true)
    const parsed = parseServiceAccount((useOld ? old : current) ?? '')
    if ('token' in parsed) return realSecret(parsed.token, useOld ? oldPath : path, report)
    report.error(useOld ? oldPath : path, parsed.problem)
    return undefined
  }

  function apiOrigin(): URL | undefined {
    if (directory.okta.url !== undefined) {
      return parseOrigin(
        directory.okta.url,
        onPrivateNetwork(allowHttp, base.length === 1 ? 'idp_allow_http' : 'allow_http'),
        at('okta', 'url'),
        report,
      )
    }
    if (provider === 'okta') return issuer === undefined ? undefined : new URL(new URL(issuer).origin)
    report.error(
      older.idp_service_account === undefined ? at('okta') : ['idp_service_account'],
      `this reads an Okta org, and the provider is ${provider}; remove it, or write directory.okta.url, the origin of the org that has these people`,
    )
    return undefined
  }
}
