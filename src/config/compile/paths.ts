/** Which paths a route takes as they were asked, although servers read them in more than one way. */
import type { PathReading } from '../route-model.ts'
import type { RouteInput } from '../schema/route.ts'

export type PathDefaults = Pick<RouteInput, 'merge_slashes' | 'path_with_escaped_slashes_action'>

export function compilePathReading(input: RouteInput, defaults: PathDefaults): PathReading | undefined {
  const escapedSlashes = input.path_with_escaped_slashes_action ?? defaults.path_with_escaped_slashes_action ?? 'reject'
  const slashes = (input.merge_slashes ?? defaults.merge_slashes ?? true) ? 'merge' : 'keep'
  return escapedSlashes === 'reject' && slashes === 'merge' ? undefined : { escapedSlashes, slashes }
}
