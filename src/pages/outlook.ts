import type { ErrorInfo } from '../errors.ts'
import { describeDuration } from '../lib/duration.ts'

/** Who can mend it, when that is not whoever asked. */
const BLAME: Readonly<Record<ErrorInfo['at'], string>> = {
  asker: '',
  'set-up': 'Your access is not the problem, the set-up of this site is.',
  provider: 'Your access is not the problem, the identity provider is.',
  directory: 'Your access is not the problem, the group directory is.',
  store: 'Your access is not the problem, a part of this site is.',
  application: 'Your access is not the problem, the application behind it is.',
  postern: 'Your access is not the problem, a fault of this site is.',
}

const MINUTE_S = 60
const TELL = 'tell your administrator, and quote the code and the request number below.'

/** Whose fault it is, and whether to wait or to tell somebody. */
export function outlook({ at, waiting, retryAfter = MINUTE_S }: ErrorInfo): string {
  if (waiting === 'in-vain') return `${BLAME[at]} Waiting does not help: ${TELL}`.trimStart()
  const when = retryAfter === MINUTE_S ? 'a minute' : describeDuration(retryAfter * 1000)
  return `${BLAME[at]} This usually passes by itself: try again in ${when}. If it stays this way, ${TELL}`.trimStart()
}
