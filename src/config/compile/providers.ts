import { CERTIFICATE, OF_CERTIFICATES } from './downstream-mtls.ts'
import type { CompiledProvider, Written } from './provider-settings.ts'
import { nearest } from '../../policy/nearest.ts'
import type { Fixed, Outbound } from '../model.ts'
import { formatPath, type Path, type Report } from '../issues.ts'
import type { Route } from '../route-model.ts'
import type { Clause, Policy } from '../../policy/model.ts'
import type { GlobalInput } from '../schema.ts'
import type { RouteInput } from '../schema/route.ts'
import type { ProviderInput } from '../schema/providers.ts'
import type { SignInDemand } from '../../types.ts'
import type { Draft } from '../validate.ts'
import { compileDirectory } from './directory.ts'
import { compileIdp } from './idp.ts'

/** The provider of the keys `idp_…`. */
const DEFAULT_PROVIDER = 'default'

/** Stands in URLs and names of cookies. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/

/** Keys of a provider, and what the default one calls them. */
const FLAT = {
  provider: 'idp_provider',
  label: 'idp_label',
  url: 'idp_provider_url',
  internal_url: 'idp_internal_url',
  allow_http: 'idp_allow_http',
  ca: 'idp_ca',
  ca_file: 'idp_ca_file',
  client_id: 'idp_client_id',
  client_secret: 'idp_client_secret',
  client_secret_file: 'idp_client_secret_file',
  client_auth: 'idp_client_auth',
  scopes: 'idp_scopes',
  request_params: 'idp_request_params',
  pushed_requests: 'idp_pushed_requests',
  allow_unverified_email: 'idp_allow_unverified_email',
  timeout: 'idp_timeout',
  directory: 'directory',
} as const satisfies Record<keyof ProviderInput, keyof GlobalInput>

/** In the order in which they are written, the one of the keys `idp_…` first. */
export function compileProviders(draft: Draft, outbound: Outbound, report: Report): readonly CompiledProvider[] {
  const { globals } = draft
  const named = Object.entries(globals.identity_providers)
  const flatKeys = [...Object.values(FLAT), 'idp_service_account'] as const
  const hasFlat = named.length === 0 || flatKeys.some((key) => key !== 'directory' && report.isWritten([key]))
  if (!hasFlat && report.isWritten(['directory'])) {
    report.error(
      ['directory'],
      'this is the directory of the provider of `idp_provider_url`, which is not written; write it inside identity_providers',
    )
  }
  if (globals.idp_qps !== undefined) {
    report.warning(
      ['idp_qps'],
      "ignored: calls follow Okta's own rate limits; the share of them is directory.okta.budget",
    )
  }
  for (const [name] of named) checkName(name, hasFlat, report)
  const all = [...(hasFlat ? [flat(draft)] : []), ...named.map(([name, input]) => entry(name, input, draft))]
  const compiled = all.map((written): CompiledProvider => {
    const idp = compileIdp(written.settings, outbound, report)
    return {
      idp,
      directory: compileDirectory(written.directory, idp?.issuer, idp?.outbound ?? outbound, report),
      written,
    }
  })
  return compiled.map((each, i) => together(each, compiled.slice(0, i), report))
}

/** What a running Postern needs; undefined: one of them is not usable. */
export function idpsOf(providers: readonly CompiledProvider[]): Fixed['idps'] | undefined {
  const [first, ...others] = providers.map(({ idp, directory }) => idp && { ...idp, directory })
  const usable = others.filter((idp) => idp !== undefined)
  return first && usable.length === others.length ? [first, ...usable] : undefined
}

function checkName(name: string, hasFlat: boolean, report: Report): void {
  const path = ['identity_providers', name]
  if (!NAME.test(name)) report.error(path, 'expected a name of small letters, digits and hyphens, 32 at most')
  else if (name === CERTIFICATE) report.error(path, OF_CERTIFICATES)
  else if (hasFlat && name === DEFAULT_PROVIDER)
    report.error(path, 'this is the name of the provider of `idp_provider_url`; give it another one')
}

function flat({ globals, broken }: Draft): Written {
  const holdsSecrets = globals.services !== 'proxy'
  const values = Object.fromEntries(Object.entries(FLAT).map(([key, name]) => [key, globals[name]]))
  return {
    settings: {
      name: DEFAULT_PROVIDER,
      // The two schemas give these keys the same values.
      values: values as unknown as ProviderInput,
      at: (key) => [FLAT[key]],
      isBroken: (key) => broken.has(FLAT[key]),
      callbackPath: globals.authenticate_callback_path,
      holdsSecrets,
    },
    directory: {
      provider: globals.idp_provider,
      directory: globals.directory,
      path: ['directory'],
      older: globals,
      allowHttp: globals.idp_allow_http,
      isBroken: broken.has('directory'),
      holdsSecrets,
    },
  }
}

function entry(name: string, values: ProviderInput, { globals, broken }: Draft): Written {
  const holdsSecrets = globals.services !== 'proxy'
  const at = (...inside: Path): Path => ['identity_providers', name, ...inside]
  // What is broken inside is doubtful, and nothing more is said about it.
  const isBroken = (): boolean => false
  return {
    settings: {
      name,
      values,
      at: (key) => at(key),
      isBroken,
      callbackPath: `${globals.authenticate_callback_path}/${name}`,
      holdsSecrets,
    },
    directory: {
      provider: values.provider,
      directory: values.directory,
      path: at('directory'),
      older: {},
      allowHttp: values.allow_http,
      isBroken: broken.has('identity_providers'),
      holdsSecrets,
    },
  }
}

/** Whose sessions count on a route, and what is known of their groups. */
export function compileRouteProviders(
  { identity_provider: written }: RouteInput,
  path: Path,
  providers: readonly CompiledProvider[],
  report: Report,
): Pick<Route, 'toldAtSignIn'> & Pick<SignInDemand, 'providers'> {
  const names = providers.map(({ written: { settings } }) => settings.name)
  const [first, ...others] = written === undefined ? [] : [written].flat()
  for (const name of new Set([written ?? []].flat())) {
    if (names.includes(name)) continue
    const near = nearest(name, names)
    const hint = near === undefined ? `; there are ${names.join(', ')}` : `; did you mean "${near}"?`
    report.error([...path, 'identity_provider'], `there is no provider "${name}"${hint}`)
  }
  const toldAtSignIn = providers
    .filter(({ directory }) => directory.kind === 'claims')
    .map(({ written: { settings } }) => settings.name)
    .filter((name) => first === undefined || [first, ...others].includes(name))
  return {
    ...(first !== undefined && { providers: [first, ...others] as const }),
    ...(toldAtSignIn.length > 0 && { toldAtSignIn }),
  }
}

/**
 * A subject names one person at each provider (OpenID Connect Core §2). Where several may sign in, a rule that names it must
 * say whose it is. Rules to keep somebody out may keep out too many.
 */
export function refuseAmbiguousUsers(
  policy: Policy | undefined,
  named: SignInDemand['providers'],
  providers: readonly CompiledProvider[],
  path: Path,
  report: Report,
): void {
  const accepted = providers.filter(({ idp }) => idp && (named?.includes(idp.name) ?? true))
  const issuers = new Set(accepted.map(({ idp }) => idp?.issuer))
  if (policy?.kind !== 'rules' || issuers.size < 2) return
  const isAmbiguous = ({ op, criteria }: Clause): boolean => {
    const has = (name: string): boolean => criteria.some((criterion) => criterion.name === name)
    return has('user') && !(op === 'and' && has('issuer'))
  }
  if (policy.allow.some(isAmbiguous)) {
    report.error(
      path,
      'a rule lets `user` in, and people of several providers may have that id: write `identity_provider`, or `and: [user: …, issuer: …]`',
    )
  }
}

/** Two clients of one issuer are for the same people, who have one directory. */
function together(one: CompiledProvider, before: readonly CompiledProvider[], report: Report): CompiledProvider {
  const { idp, written } = one
  if (!idp) return one
  const { at } = written.settings
  if (before.some((other) => other.idp?.label === idp.label)) {
    report.warning(at('label'), `two providers are called ${JSON.stringify(idp.label)} on the page where people choose`)
  }
  const same = before.find((other) => other.idp?.issuer === idp.issuer)
  if (!same) return one
  if (same.idp?.clientId === idp.clientId) {
    report.error(
      at('client_id'),
      `the provider "${same.idp.name}" has this client of this issuer, too; one of them is enough`,
    )
  }
  if (report.isWritten(written.directory.path)) {
    report.error(
      written.directory.path,
      `the provider "${same.written.settings.name}" has the same issuer, and its people one directory: ${formatPath(same.written.directory.path)}`,
    )
  }
  return { ...one, directory: same.directory }
}
