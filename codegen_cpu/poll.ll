; Looking for signals in long loops. Names with a dollar sign are filled in by poll.py, which explains
; the design.
declare $long @PyThread_get_thread_ident()
declare i32 @PyGILState_Check()
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32 @PyErr_CheckSignals()
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare i32 @llvm.umin.i32(i32, i32)

@tw_main_thread = global $long 0
@tw_raised = global [3 x ptr] zeroinitializer

$clock

define i32 @tw_poll(ptr %runtime, ptr %last, i32 %rounds) nounwind {
  %now = call i64 @now()
  %before = load i64, ptr %last
  %is_first = icmp eq i64 %before, 0
  br i1 %is_first, label %begin, label %compare

begin:
  store i64 %now, ptr %last
  br label %faster

compare:
  %passed = sub i64 %now, %before
  %early = icmp ult i64 %passed, $often
  br i1 %early, label %faster, label %look

faster:
  %more = shl i32 %rounds, 2
  %limited = call i32 @llvm.umin.i32(i32 %more, i32 $most_rounds)
  ret i32 %limited

look:
  call void @let_others_run()
  %stop = call i32 @signals_raise()
  %after = call i64 @now()
  store i64 %after, ptr %last
  %late = icmp ugt i64 %passed, $rarely
  %shift = select i1 %late, i32 2, i32 0
  %fewer = lshr i32 %rounds, %shift
  %is_none = icmp eq i32 %fewer, 0
  %next = select i1 %is_none, i32 1, i32 %fewer
  %stops = icmp ne i32 %stop, 0
  %result = select i1 %stops, i32 0, i32 %next
  ret i32 %result
}

; A short call holds the GIL; if it turns out to be long, the others, and the main thread's signal
; handlers among them, must not wait for it.
define internal void @let_others_run() nounwind {
  %holds = call i32 @PyGILState_Check()
  %is_held = icmp ne i32 %holds, 0
  br i1 %is_held, label %release, label %done
release:
  %thread = call ptr @PyEval_SaveThread()
  call void @PyEval_RestoreThread(ptr %thread)
  br label %done
done:
  ret void
}

; Python runs signal handlers in its main thread only: the others need not ask.
define internal i32 @signals_raise() nounwind {
  %this = call $long @PyThread_get_thread_ident()
  %main = load $long, ptr @tw_main_thread
  %is_main = icmp eq $long %this, %main
  br i1 %is_main, label %ask, label %no

ask:
  %state = call i32 @PyGILState_Ensure()
  %failed = call i32 @PyErr_CheckSignals()
  %raises = icmp ne i32 %failed, 0
  br i1 %raises, label %keep, label %release

keep:
  %value_at = getelementptr ptr, ptr @tw_raised, i64 1
  %traceback_at = getelementptr ptr, ptr @tw_raised, i64 2
  call void @PyErr_Fetch(ptr @tw_raised, ptr %value_at, ptr %traceback_at)
  br label %release

release:
  call void @PyGILState_Release(i32 %state)
  ret i32 %failed
no:
  ret i32 0
}
