import type { Report } from '../issues.ts'
import { signInSecrets } from '../sign-in-secrets.ts'
import type { Draft } from '../validate.ts'

/** Do the other keys fit what this process serves? */
export function checkServices({ globals }: Draft, report: Report): void {
  const { services, storage, databroker_storage_type: older } = globals
  if (services === 'all') return
  if ((older ?? storage.type) === 'memory') {
    report.error(
      ['services'],
      `\`${services}\` needs a store that it shares with the other processes, and storage.type is memory`,
    )
  }
  if (services === 'authenticate') return
  for (const path of signInSecrets(Object.keys(globals.identity_providers))) {
    if (report.isWritten(path)) report.warning(path, 'not used: with `services: proxy` keep it from this process')
  }
}
