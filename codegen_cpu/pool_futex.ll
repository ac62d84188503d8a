; How threads of the pool sleep on Linux: by futex.
; @wait returns at once when the word is not the expected one; it may also return early.

declare i64 @syscall(i64, ...)
declare i32 @sched_getcpu()

; The processor that this thread runs on; negative if that is not known.
define internal i32 @this_cpu() nounwind {
  %cpu = call i32 @sched_getcpu()
  ret i32 %cpu
}

define internal void @wait(ptr %pool, ptr %word, i32 %expected) nounwind {
  %value = zext i32 %expected to i64
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr %word, i64 128, i64 %value, ptr null)
  ret void
}

define internal void @wake(ptr %pool, ptr %word, i32 %count) nounwind {
  %limit = zext i32 %count to i64
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr %word, i64 129, i64 %limit)
  ret void
}
