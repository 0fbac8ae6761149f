import { asksForSignIn } from '../../policy/demand.ts'
import type { Policy } from '../../policy/model.ts'
import type { Path, Report } from '../issues.ts'
import type { Route } from '../route-model.ts'
import type { RouteInput } from '../schema/route.ts'

/** Warns of service tokens that let nobody in, and of programs that a rule lets in where no token is taken. */
export function warnOfServiceTokens(
  {
    service_tokens: taken,
    certificate_accounts: certified,
  }: Pick<RouteInput, 'service_tokens' | 'certificate_accounts'>,
  {
    policy,
    bearer,
    demand,
  }: { readonly policy: Policy | undefined; readonly bearer: Route['bearer']; readonly demand: Route['demand'] },
  path: Path,
  report: Report,
): void {
  const at = [...path, 'service_tokens']
  if (taken && policy?.kind === 'public' && policy.identity !== 'optional') {
    report.warning(at, 'no token is asked for where everybody may come in')
  }
  if (taken && asksForSignIn(demand)) {
    report.warning(at, 'no service token gets in: none is the sign-in that the route asks for')
  }
  if (!taken && certified === undefined && bearer === undefined && namesProgram(policy)) {
    report.warning(path, 'service_account names nobody here, because no token is taken; write `service_tokens: true`')
  }
}

function namesProgram(policy: Policy | undefined): boolean {
  if (policy?.kind !== 'rules') return false
  return policy.allow.some(({ criteria }) => criteria.some(({ name }) => name === 'service_account'))
}
