import { asksForGroups, policiesOf } from '../../policy/explain.ts'
import type { Route } from '../route-model.ts'
import type { Report } from '../issues.ts'
import { PRODUCTS } from '../providers.ts'
import type { GlobalInput } from '../schema.ts'
import type { CompiledProvider } from './provider-settings.ts'

/**
 * Where no directory is read: says what it costs that groups come from the sign-in. Gives the names of the providers that are
 * to be asked for the scope `groups`, where they have it: not those whose scopes somebody has written.
 */
export function compileGroupsScope(
  providers: readonly CompiledProvider[],
  routes: readonly Route[],
  globals: Pick<GlobalInput, 'groups_claim'>,
  report: Report,
): readonly string[] {
  return providers
    .filter((provider) => provider.directory.kind === 'claims' && asks(provider, routes, globals.groups_claim, report))
    .map(({ written }) => written.settings.name)
}

function asks({ written }: CompiledProvider, routes: readonly Route[], claim: string, report: Report): boolean {
  const { name, values, at, holdsSecrets } = written.settings
  const first = routes.find(
    (route) => (route.demand?.providers?.includes(name) ?? true) && policiesOf(route).some(asksForGroups),
  )
  if (!first) return false
  if (!holdsSecrets) {
    const sources = [...written.directory.path, 'sources']
    report.warning(
      sources,
      `missing, and rules ask for groups (first ${first.definedAt}): they come from the claim "${claim}" of sign-ins; where the sign-in service reads a directory, name it here: \`directory: {sources: [okta]}\``,
    )
    return false
  }
  const { provider, url = '', scopes } = values
  const isWritten = report.isWritten(at('scopes'))
  // A custom authorization server has claims that need no scope.
  if (isWritten && provider === 'okta' && !url.includes('/oauth2/') && !scopes.includes('groups')) {
    report.warning(
      at('scopes'),
      `rules ask for groups (first ${first.definedAt}), and an Okta org tells none without the scope \`groups\`; add it`,
    )
  }
  const isDefault = written.directory.path.length === 1
  const token = [...written.directory.path, 'okta', 'api_token']
  // A service account that was written and is wrong has been reported.
  if ([...(isDefault ? [['idp_service_account']] : []), token].some((path) => report.isWritten(path))) return false
  const cost = `groups come from the claim "${claim}" of the sign-in, and a change in the directory counts only at the next refresh or sign-in`
  if (provider === 'okta') {
    report.warning(
      isDefault ? ['idp_service_account'] : token,
      `missing, and rules ask for groups (first ${first.definedAt}): ${cost}; Okta may refuse the sign-in of people in more than 100 groups`,
    )
  } else {
    const quirk = claim === 'groups' ? PRODUCTS[provider]?.groups : undefined
    report.warning(
      isDefault ? ['groups_claim'] : at('provider').slice(0, -1),
      `rules ask for groups (first ${first.definedAt}): ${cost}${quirk === undefined ? '' : `; ${quirk}`}`,
    )
  }
  return !isWritten
}
