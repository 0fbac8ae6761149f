import { type ConfigIssue, formatIssues, formatPath } from '../../../src/config/issues.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { assertNever, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { describeDuration } from '../../../src/lib/duration.ts'
import { asksForGroups, policiesOf } from '../../../src/policy/explain.ts'
import type { Span } from '../../../src/types.ts'
import type { Config, IdpConfig } from '../../../src/config/model.ts'
import type { Io } from '../io.ts'
import { describeHosts } from '../hosts.ts'
import { checkCertificates } from '../checks/certificates.ts'
import { checkFiles, checkStoreFolder } from '../checks/files.ts'
import { checkOnline } from '../checks/online.ts'
import { type Finding, lineOf } from '../finding.ts'
import { count, printable } from '../text.ts'
import { describeHook, type Registration, registrations } from './registration.ts'

export interface CheckOptions {
  /** undefined: the environment alone. */
  readonly file: string | undefined
  readonly online: boolean
  /** Online: ask upstreams for WebSockets, too. */
  readonly webSockets: boolean
  readonly json: boolean
}

/** Judges a configuration. Exit code 0, 3 (not valid) or 4 (a dependency failed). */
export async function checkCommand({ file, online, webSockets, json }: CheckOptions, io: Io): Promise<number> {
  const loaded = await loadConfig(file, io.env)
  const issues = loaded.kind === 'ok' ? loaded.warnings : loaded.issues
  if (!json) for (const line of formatIssues(issues)) io.err(line)
  if (loaded.kind === 'invalid') {
    if (json) io.out(JSON.stringify({ valid: false, ...bySeverity(issues) }, undefined, 2))
    return ERRORS.ERR_CONFIG_INVALID.exit
  }
  const { config } = loaded
  const begun = performance.now()
  const clock = io.clock ?? systemClock
  const own = [
    ...checkCertificates(config, clock.now()),
    ...checkFiles(file, new Set(loaded.files.keys()), loaded.settings()),
    ...checkStoreFolder(config),
  ]
  const findings = [...own, ...(online ? await checkOnline(config, clock, { webSockets }) : [])]
  // Here and not above: what it brings with it is for those who ask.
  const { hookOf } = online ? await import('../../../src/okta-account.ts') : { hookOf: () => undefined }
  const { idps } = config.fixed
  const [first] = idps
  const hooks = idps.flatMap((idp) => {
    const hook = hookOf(config, idp)
    return hook && idp.directory.kind === 'okta' ? { org: idp.directory.url.origin, hook } : []
  })
  // One for each org: providers of one issuer share theirs.
  const [hook, ...otherHooks] = hooks.filter(({ org }, i) => hooks.findIndex((other) => other.org === org) === i)
  const exitCode = has(own, 'fail')
    ? ERRORS.ERR_CONFIG_INVALID.exit
    : has(findings, 'fail')
      ? ERRORS.ERR_DEPENDENCY.exit
      : 0
  if (json) {
    io.out(
      JSON.stringify(
        {
          valid: true,
          ...bySeverity(issues),
          routes: config.live.routes.length,
          ...Object.fromEntries(registrations(config, first).map(({ key, uri }) => [key, uri])),
          groups: first.directory.kind,
          providers: idps.map((idp) => ({
            name: idp.name,
            issuer: idp.issuer,
            client_id: idp.clientId,
            ...Object.fromEntries(registrations(config, idp).map(({ key, uri }) => [key, uri])),
            groups: idp.directory.kind,
          })),
          checks: findings,
          ...(hook && { event_hook: { uri: hook.hook.uri, header: 'Authorization', events: hook.hook.events } }),
        },
        undefined,
        2,
      ),
    )
    return exitCode
  }
  for (const line of describe(file ?? 'the environment', config)) io.out(line)
  for (const { org, hook: wanted } of hook ? [hook, ...otherHooks] : []) {
    const where = otherHooks.length > 0 ? ` ${org}` : ' Okta'
    io.out('')
    io.out(`Event hook at${where}, made by \`postern okta hook install\` or by hand:`)
    for (const line of describeHook(wanted)) io.out(line)
    if (!wanted.uri.startsWith('https:')) io.out('  Okta itself takes https only')
    io.out('')
  }
  for (const finding of findings) io.out(printable(lineOf(finding)))
  if (findings.length > 0) io.out(sumUp(findings, performance.now() - begun))
  return exitCode
}

function has(findings: readonly Finding[], wanted: Finding['status']): boolean {
  return findings.some(({ status }) => status === wanted)
}

/** `12 checks in 0.8 s: 1 failed, 2 warnings`. */
function sumUp(findings: readonly Finding[], took: Span): string {
  const number = (wanted: Finding['status']): number => findings.filter(({ status }) => status === wanted).length
  const [failed, warnings] = [number('fail'), number('warn')]
  const parts = [...(failed > 0 ? [`${failed} failed`] : []), ...(warnings > 0 ? [count(warnings, 'warning')] : [])]
  const result = parts.length > 0 ? parts.join(', ') : 'all is well'
  return `${count(findings.length, 'check')} in ${(took / 1000).toFixed(1)} s: ${result}`
}

const SERVED: Readonly<Record<Config['fixed']['services'], readonly string[]>> = {
  all: [],
  authenticate: [
    'This process serves the sign-in alone (services: authenticate); it knows the routes, because people return to them.',
  ],
  proxy: ['This process serves the routes alone (services: proxy), without any secret of the provider.'],
}

function describe(name: string, config: Config): readonly string[] {
  const { idps } = config.fixed
  const { routes } = config.live
  const isAsked = routes.flatMap(policiesOf).some(asksForGroups)
  return [
    `${name} is valid: ${count(routes.length, 'route')}`,
    ...SERVED[config.fixed.services],
    '',
    ...idps.flatMap((idp) => [
      `Register with ${idp.issuer} for client ${idp.clientId}:`,
      ...describeRegistrations(registrations(config, idp)),
      '',
    ]),
    `Applications receive ${describeIdentity(config)}`,
    ...describeHosts(routes),
    ...idps.flatMap((idp) => {
      const whose = idps.length > 1 ? ` of people of ${idp.name}` : ''
      return isAsked ? [`Groups${whose}: ${describeGroups(idp, config)}`] : []
    }),
  ]
}

/** `X-Postern-Jwt-Assertion, X-Email (2 of 3 routes)`: what an application has to look for. */
function describeIdentity({ live: { routes, naming } }: Config): string {
  const forwards = routes.map(({ action }) => action).filter((action) => action.kind === 'forward')
  const passing = forwards.filter(({ identity }) => identity.pass)
  if (passing.length === 0) return 'no identity headers: pass_identity_headers is not true'
  const names = new Set([
    naming.assertionHeader,
    ...passing.flatMap(({ identity }) => [...identity.claimHeaders.keys()]),
  ])
  const shown = [...names].map((name) => name.replaceAll(/(?<=^|-)[a-z]/g, (letter) => letter.toUpperCase()))
  const some = passing.length < forwards.length ? ` (${passing.length} of ${count(forwards.length, 'route')})` : ''
  return `${shown.join(', ')}${some}`
}

function describeRegistrations(registered: readonly Registration[]): readonly string[] {
  const width = Math.max(...registered.map(({ label }) => label.length)) + 2
  return registered.map(({ label, uri }) => `  ${label.padEnd(width)}${uri}`)
}

function describeGroups({ directory }: IdpConfig, { live: { groupsClaim } }: Config): string {
  switch (directory.kind) {
    case 'okta':
      return `read from ${directory.url.origin}; changes are looked for every ${describeDuration(directory.logInterval)}, and what could not be kept up with is unknown after ${describeDuration(directory.maxStaleness)}; claim/${groupsClaim} asks there, too`
    case 'local':
      return `from ${directory.order.join(', then ')}: no call is made; claim/${groupsClaim} asks there, too`
    case 'followed':
      return `from ${directory.order.join(', then ')}, which the sign-in service reads; claim/${groupsClaim} asks there, too`
    case 'claims':
      return `from the claim "${groupsClaim}" of the sign-in: a change in the directory counts only at the next refresh or sign-in`
    default:
      return assertNever(directory)
  }
}

function bySeverity(issues: readonly ConfigIssue[]): object {
  const only = (severity: ConfigIssue['severity']): readonly object[] =>
    issues.filter((issue) => issue.severity === severity).map(toJson)
  return { errors: only('error'), warnings: only('warning') }
}

function toJson({ source, path, message }: ConfigIssue): object {
  return {
    ...(source.kind === 'file' && { file: source.file, ...source.at }),
    ...(source.kind === 'environment' && { environment: source.name }),
    path: formatPath(path),
    message,
  }
}
