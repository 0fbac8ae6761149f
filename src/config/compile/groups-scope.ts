import { asksForGroups, policiesOf } from '../../policy/explain.ts'
import type { Route } from '../route-model.ts'
import type { Report } from '../issues.ts'
import { PRODUCTS } from '../providers.ts'
import type { Draft } from '../validate.ts'

/**
 * Where no directory is read: says what it costs that groups come from the sign-in. Is the scope `groups` to be asked for,
 * where the provider has it? Not when somebody has written the scopes.
 */
export function compileGroupsScope(routes: readonly Route[], draft: Draft, report: Report): boolean {
  const first = routes.find((route) => policiesOf(route).some(asksForGroups))
  if (!first) return false
  if (draft.globals.services === 'proxy') {
    report.warning(
      ['directory', 'sources'],
      `missing, and rules ask for groups (first ${first.definedAt}): they come from the claim "${draft.globals.groups_claim}" of sign-ins; where the sign-in service reads a directory, name it here: \`directory: {sources: [okta]}\``,
    )
    return false
  }
  const { idp_provider: provider, idp_provider_url: url = '', idp_scopes: scopes, groups_claim: claim } = draft.globals
  const isWritten = report.isWritten(['idp_scopes'])
  // A custom authorization server has claims that need no scope.
  if (isWritten && provider === 'okta' && !url.includes('/oauth2/') && !scopes.includes('groups')) {
    report.warning(
      ['idp_scopes'],
      `rules ask for groups (first ${first.definedAt}), and an Okta org tells none without the scope \`groups\`; add it`,
    )
  }
  // A service account that was written and is wrong has been reported.
  if ([['idp_service_account'], ['directory', 'okta', 'api_token']].some((path) => report.isWritten(path))) return false
  const cost = `groups come from the claim "${claim}" of the sign-in, and a change in the directory counts only after the next one`
  if (provider === 'okta') {
    report.warning(
      ['idp_service_account'],
      `missing, and rules ask for groups (first ${first.definedAt}): ${cost}; Okta may refuse the sign-in of people in more than 100 groups`,
    )
  } else {
    const quirk = claim === 'groups' ? PRODUCTS[provider]?.groups : undefined
    report.warning(
      ['groups_claim'],
      `rules ask for groups (first ${first.definedAt}): ${cost}${quirk === undefined ? '' : `; ${quirk}`}`,
    )
  }
  return !isWritten
}
