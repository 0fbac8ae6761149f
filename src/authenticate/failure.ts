import { type AppError, faultFields } from '../errors.ts'
import { type Page, pageOf, pageReply } from '../pages/render.ts'
import { createFaultTally } from '../lib/fault-tally.ts'
import type { Clock, Logger } from '../types.ts'
import type { Reply } from '../http/exchange.ts'
import type { ControlRequest, Header } from './control-request.ts'

export type Failure = (
  request: ControlRequest,
  error: AppError,
  more?: { readonly cookies?: readonly Header[]; readonly tryAgain?: URL },
) => Reply

/**
 * A sign-in that did not complete: one audit line, and a page with a way on. Nothing of the request is echoed. A fault that
 * everybody meets is logged once, however many meet it.
 */
export function createFailure({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }): Failure {
  const tally = createFaultTally(clock)
  return ({ facts, generation }, error, { cookies = [], tryAgain } = {}) => {
    const { status, sentence, retryAfter } = error.info
    const common = pageOf(generation, facts.id, clock.now())
    const tryAgainUrl = (tryAgain ?? generation.fixed.authenticateServiceUrl).href
    // The log has the hint; its words are for the page.
    const { title, whatToDo, waiting, error: oauthError, description, hint, difference } = error.details
    const said = {
      ...(oauthError !== undefined && { idp_error: String(oauthError) }),
      ...(description !== undefined && { idp_error_description: String(description) }),
      ...(hint !== undefined && { hint: String(hint) }),
    }
    const fields = {
      event: 'sign-in-failed',
      request_id: facts.id,
      client_ip: facts.clientIp,
      ...faultFields(error),
    } as const
    const remedy = remedyOf(error)
    const repeated = remedy === undefined ? 0 : tally(facts.path, `${error.code} ${String(hint)}`)
    const told = repeated !== undefined && { remedy, ...(repeated && { repeated }) }
    const isPassing = remedy === undefined || error.info.waiting === 'helps'
    const level = repeated === undefined ? 'debug' : isPassing ? 'warn' : 'error'
    logger.audit({ ...fields, ...said, ...told }, 'sign-in did not complete', level)
    const page: Page =
      error.code === 'ERR_IDP_REJECTED'
        ? {
            kind: 'sign-in-failed',
            title: String(title ?? 'The sign-in did not complete'),
            whatToDo: String(whatToDo ?? sentence),
            ...(oauthError !== undefined && { error: String(oauthError) }),
            ...(description !== undefined && { description: String(description) }),
            tryAgainUrl,
            inVain: waiting === 'in-vain',
          }
        : {
            kind: 'error',
            code: error.code,
            ...(difference !== undefined && { sentence: differs(String(difference)) }),
            wayOn: { href: tryAgainUrl, label: 'Start again' },
          }
    const headers: readonly Header[] =
      retryAfter === undefined ? cookies : [...cookies, ['retry-after', String(retryAfter)]]
    return pageReply(common, status, page, { headers })
  }
}

/** undefined: only this person meets it, or somebody who tries out our addresses. */
function remedyOf({ code, info, details }: AppError): string | undefined {
  if (code === 'ERR_IDP_REJECTED') return details['remedy'] === undefined ? undefined : String(details['remedy'])
  return info.at === 'asker' ? undefined : info.remedy
}

function differs(difference: string): string {
  return `This server's clock differs from the identity provider's by ${difference}.`
}
