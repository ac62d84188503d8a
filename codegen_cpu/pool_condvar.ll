; How threads of the pool sleep where there is no futex: on one condition variable.
; @wait returns at once when the word is not the expected one; it may also return early.

declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)

; The processor that this thread runs on; negative: not known.
define internal i32 @this_cpu() nounwind {
  ret i32 -1
}

define internal void @wait(ptr %pool, ptr %word, i32 %expected) nounwind {
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %condition = getelementptr i8, ptr %pool, i64 $CONDITION
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %value = load atomic i32, ptr %word seq_cst, align 4
  %unchanged = icmp eq i32 %value, %expected
  br i1 %unchanged, label %sleep, label %leave
sleep:
  %woken = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %leave
leave:
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

define internal void @wake(ptr %pool, ptr %word, i32 %count) nounwind {
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX
  %condition = getelementptr i8, ptr %pool, i64 $CONDITION
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %sent = call i32 @pthread_cond_broadcast(ptr %condition)
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}
