import type { PolicyContext } from '../../policy/parse.ts'
import type { Report } from '../issues.ts'
import type { Naming } from '../model.ts'
import type { Respond, Route } from '../route-model.ts'
import type { GlobalInput } from '../schema.ts'
import { compileRules } from './access.ts'
import type { CompiledProvider } from './provider-settings.ts'

/**
 * Who may see the status page (`admin`), as a route of the sign-in service's host, so that the judge is asked as for any
 * other. undefined: there is no such page.
 */
export function compileAdmin(
  { admin }: Pick<GlobalInput, 'admin'>,
  where: { readonly authenticateUrl: URL; readonly naming: Naming; readonly providers: readonly CompiledProvider[] },
  context: PolicyContext,
  report: Report,
): Route<Respond> | undefined {
  const { authenticateUrl, naming, providers } = where
  const policy = compileRules(admin, ['admin'], context, report)
  if (!policy) return undefined
  const toldAtSignIn = providers
    .filter(({ directory }) => directory.kind === 'claims')
    .map(({ written: { settings } }) => settings.name)
  return {
    id: 'status',
    name: 'the status page',
    from: {
      scheme: authenticateUrl.protocol === 'http:' ? 'http' : 'https',
      host: authenticateUrl.hostname,
      wildcard: false,
    },
    match: { kind: 'path', path: `${naming.controlPrefix}/status` },
    policy,
    ...(toldAtSignIn.length > 0 && { toldAtSignIn }),
    portal: false,
    keepFragment: false,
    action: { kind: 'respond', status: 200, body: '' },
    definedAt: report.where(['admin']),
  }
}
